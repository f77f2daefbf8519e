//! The HTML document around the app. Rendered only on the server.

use leptos::{hydration::HydrationScripts, prelude::*};
use leptos_meta::{HashedStylesheet, MetaTags};

use crate::{App, clock, host};

/// The whole document. `options` name the folder of the site's files, which changes with their contents.
pub fn shell(options: LeptosOptions) -> impl IntoView {
    view! {
        <!DOCTYPE html>
        <html lang="en">
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1"/>
                <meta name="color-scheme" content="light dark"/>
                <meta name=clock::META content=clock::first_instant().to_string()/>
                <meta name=host::META content=host::registry_host()/>
                <link rel="icon" href="/favicon.svg" type="image/svg+xml"/>
                <HashedStylesheet options=options.clone() id="style"/>
                // Does nothing unless the server was started by `cargo leptos watch`.
                <AutoReload options=options.clone()/>
                // Detects when the program crashes or never loads.
                <script src="/watch.js" defer></script>
                <HydrationScripts options/>
                <MetaTags/>
            </head>
            <body>
                <App/>
            </body>
        </html>
    }
}
