//! The filter of a job list, stored in its address.

use leptos::prelude::*;
use longshore_model::job::{JobAction, JobFilter, Status};

use super::{SECTION, describe::status_label};
use crate::{
    components::{Choice, FilterSelect, ListQuery, SearchBox, in_browser},
    server::suggest_repositories,
};

/// The word for all actions except evaluations, which are many and short.
const TRANSFERS: &str = "transfers";

/// The filter in the address. Unknown words are ignored.
pub(super) fn filter(query: &ListQuery) -> JobFilter {
    let (action, status) = (query.get("action"), query.get("status"));
    JobFilter {
        action: JobAction::ALL.iter().copied().find(|known| Some(known.as_str()) == action.as_deref()),
        status: Status::ALL.iter().copied().find(|known| Some(known.as_str()) == status.as_deref()),
        repository: query.parsed("q"),
        policy: query.parsed("policy"),
        parent: None,
        without_evaluations: action.as_deref() == Some(TRANSFERS),
    }
}

/// The search and the filters above the list.
#[component]
pub(super) fn JobFilters(
    /// The list state in the address.
    query: Memo<ListQuery>,
) -> impl IntoView {
    let word = move |name: &'static str| {
        Signal::derive(move || query.with(|query| query.get(name).unwrap_or_default()))
    };
    let actions = [(TRANSFERS, "Transfers and maintenance")]
        .into_iter()
        .chain(JobAction::ALL.iter().map(|action| (action.as_str(), action.label())))
        .map(|(word, label)| Choice::new(word, label))
        .collect();
    let statuses =
        Status::ALL.iter().map(|status| Choice::new(status.as_str(), status_label(*status).0)).collect();
    let sought = RwSignal::new(None::<String>);
    let no_name = move || {
        query.with(|query| query.search().filter(|_| filter(query).repository.is_none())).map(|typed| {
            let advice = format!("“{typed}” is no repository; write its whole name, such as dev/website.");
            view! { <p class="error">{advice}</p> }
        })
    };
    view! {
        <SearchBox action=SECTION.page.path() value=word("q") label="Repository" list="job-repositories" on_search=move |text| sought.set(Some(text))>
            <FilterSelect name="action" label="Action" value=word("action") choices=actions/>
            <FilterSelect name="status" label="Status" value=word("status") choices=statuses/>
        </SearchBox>
        <RepositoryNames sought=sought/>
        {no_name}
    }
}

/// Suggestions for the search, loaded once the user types.
#[component]
fn RepositoryNames(
    /// The text in the search field.
    sought: RwSignal<Option<String>>,
) -> impl IntoView {
    let names = in_browser(move || {
        let text = sought.get();
        async move { suggest_repositories(text?).await.ok() }
    });
    let options = move || {
        let names = names.get().flatten()?;
        Some(names.into_iter().map(|name| view! { <option value=name></option> }).collect_view())
    };
    view! { <datalist id="job-repositories">{options}</datalist> }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use longshore_model::job::Parameters;

    use super::{super::describe::tests::job, *};

    #[test]
    fn the_address_selects_the_jobs_listed() {
        let asked =
            ListQuery::of(&[("action", "poll_mirror"), ("status", "errored"), ("q", " dev/website ")]);
        let filter = filter(&asked);
        assert_eq!(filter.action, Some(JobAction::PollMirror));
        assert_eq!(filter.status, Some(Status::Errored));
        assert_eq!(filter.repository.unwrap().to_string(), "dev/website");
    }

    #[test]
    fn unknown_words_filter_nothing() {
        assert_eq!(filter(&ListQuery::of(&[("action", "dance"), ("q", "Not A Name")])), JobFilter::default());
        assert!(filter(&ListQuery::of(&[("action", TRANSFERS)])).without_evaluations);
    }

    #[test]
    fn only_jobs_that_match_the_filter_arrive() {
        let job = job(Parameters::PollAll);
        let filter = JobFilter { action: Some(job.action), status: Some(job.status), ..JobFilter::default() };
        assert!(filter.passes(&job));
        assert!(!JobFilter { status: Some(Status::Done), ..filter.clone() }.passes(&job));
        assert!(!JobFilter { repository: "qa/website".parse().ok(), ..filter }.passes(&job));
    }
}
