//! The repositories of a soak test: clients work in the first, policies promote to the second and the third.

use longshore_testkit::Longshore;
use serde_json::json;

/// The repository that clients push to.
pub(crate) const WORK: &str = "soak/dev";
/// The repository that tags ending with [`PROMOTED`] are promoted to.
pub(crate) const NEXT: &str = "soak/qa";
/// The repository that all tags of the second are promoted to.
pub(crate) const LAST: &str = "soak/prod";
/// The end of tags that are promoted.
pub(crate) const PROMOTED: &str = "-ok";

/// Creates the repositories and policies.
pub(crate) async fn furnish(server: &Longshore) {
    let rest = server.rest();
    rest.post("/accounts", json!({"name": "soak", "isOrg": true})).await.expect(201);
    for name in ["dev", "qa", "prod"] {
        rest.post("/repositories/soak", json!({"name": name, "visibility": "private"})).await.expect(201);
    }
    let ending = json!([{"field": "tag", "operator": "ew", "values": [PROMOTED]}]);
    for (source, target, rules) in [(WORK, NEXT, ending), (NEXT, LAST, json!([]))] {
        let policy = json!({
            "rules": rules, "targetRepository": target, "tagTemplate": "%n", "enabled": true,
        });
        rest.post(&format!("/repositories/{source}/promotionPolicies"), policy).await.expect(201);
    }
}
