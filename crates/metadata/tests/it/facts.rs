//! The facts about tags that rules refer to.

use crate::on_both;
use crate::scene::{Scene, at};
use longshore_metadata::{facts, tags};

on_both![the_facts_of_many_tags_need_as_many_queries_as_those_of_one_and_keep_their_order];

async fn the_facts_of_many_tags_need_as_many_queries_as_those_of_one_and_keep_their_order(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    for (seed, tag) in [(1, "1.0"), (2, "1.1"), (3, "1.2")] {
        let image = scene.image(&dev, seed).await;
        scene.push(&dev, tag, &image).await;
    }
    let mut conn = scene.read().await;
    let (tags, _) = tags::newest(&mut conn, dev.id, 10).await.unwrap();
    let before = scene.db.reads_made();
    let one = facts::of_tag(&mut conn, &tags[0], at(60)).await.unwrap();
    let queries = scene.db.reads_made() - before;
    let many = facts::of_tags(&mut conn, &tags, at(60)).await.unwrap();
    assert_eq!(scene.db.reads_made() - before, 2 * queries);
    assert_eq!(many[0], one);
    assert_eq!(many.iter().map(|facts| facts.tag.as_str()).collect::<Vec<_>>(), ["1.2", "1.1", "1.0"]);
    assert_eq!((one.updated_at, one.at), (tags[0].updated_at, at(60)));
}
