//! The System page: which server answers, and how it is.

use leptos::prelude::*;
use leptos_meta::Title;

use crate::{
    components::{Alert, Button, Fact, Facts, PageHeader, Panel, RelativeTime, Tone},
    server::system_info,
};

/// The server as it describes itself.
#[component]
pub fn System() -> impl IntoView {
    let info = Resource::new(|| (), |()| system_info());
    view! {
        <Title text="System"/>
        <PageHeader title="System">
            <Button on_press=move || info.refetch()>"Refresh"</Button>
        </PageHeader>
        <Transition fallback=|| view! { <p class="muted">"Loading…"</p> }>
            {move || Suspend::new(async move {
                match info.await {
                    Ok(info) => {
                        view! {
                            <Panel title="Server">
                                <Facts>
                                    <Fact name="Version">{info.version}</Fact>
                                    <Fact name="Started"><RelativeTime at=info.started_at/></Fact>
                                    <Fact name="Answered"><RelativeTime at=info.now/></Fact>
                                </Facts>
                            </Panel>
                        }
                            .into_any()
                    }
                    Err(error) => view! { <Alert tone=Tone::Bad>{error.to_string()}</Alert> }.into_any(),
                }
            })}
        </Transition>
    }
}
