//! Logs that are longer than what is read at once: a page shows 1,000 lines, a query of REST reads 2,000, and an event
//! contains 1,000 or 500.

use longshore_metadata::{Database, Error, Priority, Vault, jobs, work};
use longshore_model::job::Level;
use longshore_model::{JobId, Message, Timestamp};
use longshore_testkit::{ADMIN_PASSWORD, Longshore, Rest};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::{SOON, longshore};

const LINES: usize = 4_500;

fn line(number: usize) -> String {
    format!("this is line {number}.")
}

/// Creates an ended job with a long log.
async fn with_long_log(server: &mut Longshore) -> JobId {
    let rest = server.rest();
    let job = rest.post("/jobs", json!({"action": "poll_mirror"})).await.expect(202);
    let job: JobId = job["id"].as_str().expect("an identifier").parse().expect("an identifier");
    assert!(server.terminate().await.success());
    let path = server.data().join("longshore.db");
    let db =
        Database::open(&path.display().to_string(), Vault::from_key([7; 32])).await.expect("the database");
    let lines: Vec<(Level, Message)> = (1..=LINES).map(|number| (Level::Info, line(number).into())).collect();
    let written =
        db.write(Priority::Normal, work!(|tx| jobs::log(tx, job, &lines, Timestamp::UNIX_EPOCH).await));
    let written: Result<(), Error> = written.await;
    written.expect("the lines are written");
    drop(db);
    server.restart().await;
    job
}

async fn told(rest: &Rest, path: &str) -> Vec<String> {
    let answer = rest.get(path).await.expect(200);
    let said = |line: &Value| {
        // A line is JSON in JSON, as in DTR.
        let data: Value = serde_json::from_str(line["data"].as_str().expect("text")).expect("JSON");
        data["msg"].as_str().expect("text").to_owned()
    };
    answer.as_array().expect("a list").iter().map(said).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_thousands_of_lines_is_complete_and_a_page_without_script_says_what_it_omits() {
    let mut server = longshore().await;
    let job = with_long_log(&mut server).await;
    let rest = server.rest();

    let lines = told(&rest, &format!("/jobs/{job}/logs")).await;
    let said: Vec<String> = lines.into_iter().filter(|said| said.starts_with("this is")).collect();
    assert_eq!(said, (1..=LINES).map(line).collect::<Vec<_>>());
    assert_eq!(told(&rest, &format!("/jobs/{job}/logs?limit=2100")).await.len(), 2_100);
    let behind = told(&rest, &format!("/jobs/{job}/logs?offset={}", LINES - 1)).await;
    assert!(behind.len() <= 2 && behind.contains(&line(LINES)), "{behind:?}");

    let address = format!("{}/events?job={job}&after=0", server.url());
    let follow = Client::new().get(address).basic_auth("admin", Some(ADMIN_PASSWORD)).send();
    let mut events = follow.await.expect("a response");
    let mut heard = String::new();
    let all = async {
        while !heard.contains(&line(LINES)) {
            let part = events.chunk().await.expect("the stream continues").expect("it has not ended");
            heard.push_str(&String::from_utf8_lossy(&part));
        }
    };
    timeout(SOON, all).await.expect("the whole log arrives");
    let missing: Vec<usize> = (1..=LINES).filter(|number| !heard.contains(&line(*number))).collect();
    assert!(missing.is_empty(), "{missing:?}");

    let page = server.site().sign_in("admin", ADMIN_PASSWORD).await.page(&format!("/jobs/{job}")).await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains(&line(999)) && !page.body.contains(&line(1_001)));
    let address = format!("href=\"/api/v0/jobs/{job}/logs\"");
    assert!(page.body.contains("more lines") && page.body.contains(&address), "{}", page.body);
}
