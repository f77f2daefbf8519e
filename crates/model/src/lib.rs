//! The plain data types that all crates share: accounts, repositories, tags, policies, remotes, jobs. Everything here
//! is serialisable, free of I/O and builds for the browser. `metadata` stores these types; `admin` decides what may
//! be done with them.

pub mod account;
pub mod activity;
pub mod clock;
pub mod connect;
pub mod id;
pub mod job;
pub mod message;
pub mod page;
pub mod pause;
pub mod policy;
pub mod problem;
pub mod remote;
pub mod repository;
pub mod size;
pub mod stored;
pub mod tag;
pub mod version;
pub mod view;

pub use account::{Account, Actor, Author, UserActor};
pub use clock::{Clock, ManualClock, SystemClock};
pub use id::{AccountId, BootId, JobId, PolicyId, RemoteId, RepositoryId, StoreId, UploadId};
pub use message::Message;
pub use page::{Cursor, NoCursor, Page, PageRequest, Total};
pub use pause::{Pause, PauseReason, PauseScope, Queued};
pub use policy::{PolicyKind, PromotionPolicy, PullMirror, PushMirror};
pub use problem::{Code, FieldError, Problem};
pub use remote::{Remote, RemoteKind};
pub use repository::{ImmutableTags, Repository, RepositoryState, Visibility};
pub use size::{SizeError, check_size, parse_size, size};
pub use tag::{Lineage, Pin, Provenance, Revision, TagRecord};
pub use version::{Aspect, LastChange, Version};

pub use jiff::Timestamp;
