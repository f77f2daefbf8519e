//! The contents and the queue as reported by the metrics.

use crate::on_both;
use crate::scene::{Scene, at};
use longshore_metadata::stock::{self, Jobs};
use longshore_model::job::Status;

on_both![unfinished_jobs_are_counted_by_action_with_the_oldest_due_time];

async fn unfinished_jobs_are_counted_by_action_with_the_oldest_due_time(scene: Scene) {
    let empty = stock::count(&mut scene.read().await).await.unwrap();
    assert_eq!(empty.jobs, []);
    assert_eq!((empty.blobs, empty.blob_bytes, empty.uploads), (0, 0, 0));

    for due in [30, 10, 20] {
        scene.enqueue(None, due).await;
    }
    let claimed = scene.claim(15, 10).await;
    let action = claimed[0].job.action;
    let mut jobs = stock::count(&mut scene.read().await).await.unwrap().jobs;
    jobs.sort_by_key(|jobs| jobs.status == Status::Running);
    let waiting = Jobs { action, status: Status::Waiting, count: 2, due_since: Some(at(20)) };
    let running = Jobs { action, status: Status::Running, count: 1, due_since: None };
    assert_eq!(jobs, [waiting, running]);
}
