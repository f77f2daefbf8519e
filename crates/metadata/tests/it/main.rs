//! The behaviour of the database, tested on SQLite and on PostgreSQL.
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

/// Turns each function into a test on SQLite and one on PostgreSQL. The function receives a [`scene::Scene`].
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
