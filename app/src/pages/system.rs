//! The System page: which server answers, and how it is.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::components::A;
use longshore_model::view::SystemInfo;

use crate::{
    components::{Button, Fact, Facts, Loaded, PageHeader, Panel, RelativeTime, size},
    server::system_info,
};

/// The server as it describes itself.
#[component]
pub fn System() -> impl IntoView {
    let info = Resource::new_blocking(|| (), |()| system_info());
    view! {
        <Title text="System"/>
        <PageHeader title="System">
            <Button on_press=move || info.refetch()>"Refresh"</Button>
        </PageHeader>
        <Loaded resource=info children=|info| view! { <Info info=info/> }/>
    }
}

#[component]
fn Info(info: SystemInfo) -> impl IntoView {
    let jobs = |status: &str, count: u64| {
        let href = format!("/jobs?status={status}");
        view! { <A href=href>{count}</A> }
    };
    view! {
        <div class="panels">
            <Panel title="Server">
                <Facts>
                    <Fact name="Version">{info.version}</Fact>
                    <Fact name="Started"><RelativeTime at=info.started_at/></Fact>
                    <Fact name="Database">{info.database}</Fact>
                    <Fact name="Time zone">{info.zone} <span class="muted">" in tag templates"</span></Fact>
                </Facts>
            </Panel>
            <Panel title="Contents">
                <Facts>
                    <Fact name="Repositories"><A href="/repositories">{info.repositories}</A></Fact>
                    <Fact name="Tags">{info.tags}</Fact>
                    <Fact name="Blobs">{size(info.blobs_bytes)} <span class="muted">" each counted once"</span></Fact>
                </Facts>
            </Panel>
            <Panel title="Jobs">
                <Facts>
                    <Fact name="Waiting">{jobs("waiting", info.jobs_waiting)}</Fact>
                    <Fact name="Running">{jobs("running", info.jobs_running)}</Fact>
                </Facts>
            </Panel>
            <Panel title="For scripts">
                <p>
                    "Everything on this site can be done by REST: "
                    <a href="/api/docs" rel="external">"try it out"</a>
                    ", or read the "
                    <a href="/api/v0/openapi.json" rel="external">"description"</a>
                    "."
                </p>
            </Panel>
        </div>
    }
}
