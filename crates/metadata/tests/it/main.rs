//! What the database does, asked of SQLite and of PostgreSQL by the same tests.
#![allow(clippy::unwrap_used)]

mod content;
mod epoch;
mod facts;
mod garbage;
mod history;
mod jobs;
mod lists;
mod mirrors;
mod pauses;
mod people;
mod policies;
mod promises;
mod queue;
mod scene;
mod servers;
mod stock;
mod storage;
mod tags;
mod undo;
mod unreadable;

/// Makes of each function a test on SQLite and one on PostgreSQL. A function is handed a [`scene::Scene`].
macro_rules! on_both {
    ($($(#[$attribute:meta])* $name:ident),* $(,)?) => {
        mod on_sqlite {$(
            $(#[$attribute])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::scene::Scene::on_sqlite().await).await;
            }
        )*}
        mod on_postgres {$(
            $(#[$attribute])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::scene::Scene::on_postgres().await).await;
            }
        )*}
    };
}
pub(crate) use on_both;
