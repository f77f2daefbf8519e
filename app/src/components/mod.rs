//! The building blocks of pages. They know no use cases: data and actions come in as properties. Their styles are in
//! `style/components.css`.

mod activity;
mod awaited;
mod button;
mod call;
mod combobox;
mod confirm;
mod copy;
mod dialog;
mod form;
mod in_browser;
mod leaving;
mod list;
mod list_page;
mod live_form;
mod loaded;
mod notices;
mod page;
mod password;
mod policy_notes;
mod preview;
mod progress;
mod raw;
mod rules;
mod save;
mod shares;
mod status;
mod table;
mod template;
mod time;

pub use activity::ActivityTable;
pub use awaited::{Awaitable, Awaited};
pub use button::{Button, ButtonKind, ButtonLink};
pub use call::{Call, Done, problem_of, use_call, use_form};
pub use combobox::Combobox;
pub use confirm::ConfirmButton;
pub use copy::{Commands, CopyButton, DigestText};
pub use dialog::RouteDialog;
pub use form::{
    Checkbox, Choice, Choices, FieldKind, SearchBox, SelectField, Switch, TextArea, TextField,
    focus_first_error,
};
pub use in_browser::in_browser;
pub(crate) use leaving::{LeaveQuestion, Way, provide_leaving, use_leaving};
pub use list::{FilterSelect, FilterText, ListPager, ListQuery, use_list_query};
pub use list_page::{Changes, ListPage, PagedList, provide_changes, use_changes};
pub use live_form::LiveForm;
pub(crate) use live_form::{announce_hydration, is_filled};
pub use loaded::{Failure, FormProblem, Loaded, LoadedBeside};
pub use longshore_model::size;
pub(crate) use notices::{NoticeBoard, provide_notices};
pub use notices::{Notices, use_notices};
pub use page::{EmptyState, Fact, Facts, PageHeader, Panel, Tab, Tabs};
pub use password::PasswordField;
pub use policy_notes::PolicyNotes;
pub use preview::{PolicyPreview, previewed};
pub use progress::ProgressBar;
pub use raw::PageTitle;
pub(crate) use raw::SiteTitle;
pub use rules::{RulesEditor, RulesInput};
pub use save::SaveButtons;
pub use shares::not_worked_out;
pub use status::{Alert, Badge, Tone};
pub use table::{Pager, Table};
pub use template::{TemplateField, read_template};
pub use time::{RelativeTime, TimeUntil};
