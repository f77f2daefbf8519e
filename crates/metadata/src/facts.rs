//! Collects the facts about tags that rules refer to. Everything that decides about tags uses this module: evaluations,
//! *Save & Apply*, the plan of a pause, the verdicts on a tag's page, and the preview in dialogs.

use crate::{Conn, Error};
use longshore_model::{TagRecord, Timestamp};
use longshore_policy::Facts;
use std::slice;

/// The facts about each of these tags, in their order; `now` is the current instant. Facts that are not in a tag's row
/// are read for all tags at once, so that many tags need as many queries as one.
#[expect(clippy::disallowed_methods, reason = "the one place that gathers facts")]
pub async fn of_tags(_conn: &mut Conn, tags: &[TagRecord], now: Timestamp) -> Result<Vec<Facts>, Error> {
    Ok(tags.iter().map(|tag| Facts::new(tag.name.clone(), tag.updated_at, now)).collect())
}

/// The facts about one tag; see [`of_tags`].
pub async fn of_tag(conn: &mut Conn, tag: &TagRecord, now: Timestamp) -> Result<Facts, Error> {
    let mut facts = of_tags(conn, slice::from_ref(tag), now).await?;
    Ok(facts.pop().expect("each tag has facts"))
}
