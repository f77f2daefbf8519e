//! The repositories of a soak test: clients work in the first, policies promote to the second and the third.

use longshore_testkit::Longshore;
use serde_json::json;

/// Where clients push.
pub(crate) const WORK: &str = "soak/dev";
/// Where tags go that end with [`PROMOTED`].
pub(crate) const NEXT: &str = "soak/qa";
/// Where everything goes that arrives in the second.
pub(crate) const LAST: &str = "soak/prod";
/// The end of tags that are promoted.
pub(crate) const PROMOTED: &str = "-ok";

/// Makes repositories and policies.
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
