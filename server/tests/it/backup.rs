//! `longshore backup` of a running server, and the detection of restored data.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use longshore_testkit::s3_server::{ACCESS_KEY, BUCKET, SECRET_KEY};
use longshore_testkit::{Longshore, LongshoreBuilder, Rest, S3Server, corpus, eventually, postgres};
use serde_json::{Value, json};

use crate::storage::over;
use crate::support::{SOON, ends_with, promotion, repositories};

const KEY: &str = "bebebebebebebebebebebebebebebebebebebebebebebebebebebebebebebebe";

fn with_key(builder: LongshoreBuilder) -> LongshoreBuilder {
    builder.variable("LONGSHORE_ENCRYPTION_KEY", KEY)
}

async fn on_disk() -> Longshore {
    with_key(Longshore::builder(env!("CARGO_BIN_EXE_longshore"))).start().await
}

/// Runs `longshore backup` with these options.
fn backup(options: &[&str], to: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_longshore"))
        .arg("backup")
        .args(options)
        .arg("--to")
        .arg(to)
        .env("LONGSHORE_ENCRYPTION_KEY", KEY)
        .env("LONGSHORE_S3_ACCESS_KEY", ACCESS_KEY)
        .env("LONGSHORE_S3_SECRET_KEY", SECRET_KEY)
        .output()
        .expect("the command runs")
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

async fn backup_of(server: &Longshore, to: &Path) -> String {
    let (data, to) = (server.data().display().to_string(), to.to_owned());
    let output =
        tokio::task::spawn_blocking(move || backup(&["--data", &data], &to)).await.expect("the task ends");
    assert!(output.status.success(), "{}", told(&output));
    told(&output)
}

/// Replaces the data of a server by a folder, and starts the server.
async fn put_back(server: &mut Longshore, folder: &Path) {
    server.terminate().await;
    fs::remove_dir_all(server.data()).expect("the data can be removed");
    fs::rename(folder, server.data()).expect("the folder can be moved");
    server.restart().await;
}

fn copy_folder(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp runs");
    assert!(copied.success());
}

async fn pauses(rest: &Rest) -> Value {
    rest.get("/pauses").await.expect(200)
}

/// Runs a scrub, which must find no damage.
async fn scrub(rest: &Rest) {
    let job = rest.post("/jobs", json!({"action": "scrub"})).await.expect(202);
    let path = format!("/jobs/{}", job["id"].as_str().expect("a job has an id"));
    let ended = eventually("the scrub", SOON, async || {
        let job = rest.get(&path).await.expect(200);
        if job["status"] == "waiting" || job["status"] == "running" { Err(job) } else { Ok(job) }
    })
    .await;
    assert_eq!(ended["status"], "done", "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn semantics_29_a_backup_of_a_busy_server_is_consistent_and_paused_until_it_is_resumed() {
    let brief = ["--keep-seconds", "1"];
    let builder =
        brief.iter().fold(Longshore::builder(env!("CARGO_BIN_EXE_longshore")), |builder, argument| {
            builder.argument(argument)
        });
    let mut server = with_key(builder).start().await;
    let (rest, registry) = (server.rest(), server.registry());
    repositories(&rest, &["dev/web", "qa/web"]).await;
    promotion(&rest, "dev/web", "qa/web", ends_with("-rc"), "%n").await;
    let kept = corpus::index(1, &["linux/amd64", "linux/arm64"], true);
    registry.push(&kept, "dev/web", Some("kept")).await;

    // Images are pushed and deleted, and garbage is collected, while several backups are taken.
    let busy = tokio::spawn(async move {
        for seed in 0.. {
            let image = corpus::image(100 + seed, 3, 200_000);
            registry.push(&image, "dev/web", Some("moving")).await;
            if seed % 3 == 0 {
                registry.delete_manifest("dev/web", "moving").await;
                rest.post("/jobs", json!({"action": "garbage_collect"})).await.expect(202);
            }
        }
    });
    let folder = tempfile::tempdir().expect("a temporary folder");
    let to = folder.path().join("backup");
    for _ in 0..5 {
        let said = backup_of(&server, &to).await;
        let files = walk(&to.join("content/blobs")).len();
        assert!(said.contains(&format!("contains {files} blobs")), "{files} files, and: {said}");
    }
    busy.abort();
    let _ = busy.await;

    put_back(&mut server, &to).await;
    let (rest, registry) = (server.rest(), server.registry());
    let paused = pauses(&rest).await;
    assert_eq!((&paused[0]["scope"], &paused[0]["reason"]), (&json!("system"), &json!("restored")));
    assert!(server.log().contains("restored from an older state (it is a backup that was made at"));
    scrub(&rest).await;
    registry.verify(&kept, "dev/web").await;
    for tag in registry.tags("dev/web").await {
        registry.get_manifest("dev/web", tag.as_str()).await.expect(200);
    }

    registry.push(&kept, "dev/web", Some("1-rc")).await;
    let queue = rest.get("/pauses/system/queue").await.expect(200);
    assert!(queue.as_array().is_some_and(|queue| !queue.is_empty()), "{queue}");
    let plan = rest.get("/pauses/system/plan").await.expect(200);
    let promotes =
        plan["policies"].as_array().and_then(|policies| policies.first()).expect("one policy acts");
    assert_eq!((&promotes["kind"], &promotes["place"]), (&json!("promotion"), &json!("qa/web")), "{plan}");
    assert_eq!(promotes["steps"], json!([{"tag": "1-rc", "targetTag": "1-rc"}]));
    assert_eq!(registry.digest_of("qa/web", "1-rc").await, None);
    rest.delete("/pauses/system?queued=run").await.expect(200);
    eventually("the promotion", SOON, async || registry.digest_of("qa/web", "1-rc").await).await;
    // It is no longer a backup, and no backup is written into it.
    server.terminate().await;
    let refused = backup(&["--data", &server.data().display().to_string()], &server.data());
    assert!(told(&refused).contains("is the data folder of a server"), "{}", told(&refused));
    // Nor into the data folder of a server whose blobs are in a bucket.
    let other = folder.path().join("other");
    fs::create_dir(&other).expect("a temporary folder");
    fs::write(other.join("longshore.db"), "theirs").expect("a file can be written");
    let refused = backup(&["--data", &server.data().display().to_string()], &other);
    assert!(told(&refused).contains("is the data folder of a server"), "{}", told(&refused));
    assert_eq!(fs::read_to_string(other.join("longshore.db")).expect("the file is unchanged"), "theirs");
    server.restart().await;
    assert_eq!(pauses(&server.rest()).await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_backup_copies_new_and_lost_blobs_and_names_damaged_ones() {
    let mut server = on_disk().await;
    repositories(&server.rest(), &["dev/web"]).await;
    let (first, second) = (corpus::image(1, 2, 1_000), corpus::image(2, 2, 1_000));
    server.registry().push(&first, "dev/web", Some("1")).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let to = folder.path().join("backup");
    let said = backup_of(&server, &to).await;
    assert!(said.contains("3 blobs") && said.contains("3 of them new"), "{said}");
    assert!(said.contains("the encryption key is not included"), "{said}");
    server.registry().push(&second, "dev/web", Some("2")).await;
    let said = backup_of(&server, &to).await;
    assert!(said.contains("6 blobs") && said.contains("3 of them new"), "{said}");
    // The disk of the backup loses a blob.
    fs::remove_file(&walk(&to.join("content/blobs"))[0]).expect("it can be removed");
    let said = backup_of(&server, &to).await;
    assert!(said.contains("6 blobs") && said.contains("1 of them new"), "{said}");

    server.registry().push(&corpus::image(3, 2, 1_000), "dev/web", Some("3")).await;
    let data = server.data();
    let lost = walk(&data.join("content/blobs")).into_iter().find(|path| {
        let name = path.strip_prefix(data.join("content")).expect("a path in the folder");
        !to.join("content").join(name).exists()
    });
    let lost = lost.expect("the third image is not in the backup");
    fs::remove_file(&lost).expect("it can be removed");
    for _ in 0..2 {
        let told = told(&backup(&["--data", &data.display().to_string()], &to));
        assert!(
            told.contains("8 blobs") && told.contains("everything was copied except damaged blobs (1)"),
            "{told}"
        );
        assert!(told.contains(lost.file_name().and_then(|name| name.to_str()).expect("a digest")), "{told}");
        assert!(told.contains("it belongs to dev/web"), "{told}");
    }

    put_back(&mut server, &to).await;
    server.registry().verify(&first, "dev/web").await;
    server.registry().verify(&second, "dev/web").await;
    let third = corpus::image(3, 2, 1_000);
    assert!(server.registry().difference(&third, "dev/web").await.is_some_and(|said| said.contains("404")));
    server.registry().push(&third, "dev/web", Some("3")).await;
    server.registry().verify(&third, "dev/web").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_backup_leaves_the_previous_one_with_all_its_blobs() {
    let builder =
        Longshore::builder(env!("CARGO_BIN_EXE_longshore")).argument("--keep-seconds").argument("0");
    let mut server = with_key(builder).start().await;
    repositories(&server.rest(), &["dev/web"]).await;
    let (first, second) = (corpus::image(1, 2, 1_000), corpus::image(2, 2, 1_000));
    server.registry().push(&first, "dev/web", Some("1")).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (to, copy) = (folder.path().join("backup"), folder.path().join("copy"));
    backup_of(&server, &to).await;

    server.registry().push(&second, "dev/web", Some("2")).await;
    server.registry().delete_manifest("dev/web", first.root.as_str()).await.expect(202);
    eventually("the first image to be collected", SOON, async || {
        server.rest().post("/jobs", json!({"action": "garbage_collect"})).await.expect(202);
        let files = walk(&server.data().join("content/blobs"));
        if files.len() == 3 { Ok(()) } else { Err(files) }
    })
    .await;
    // The rows cannot be written.
    fs::create_dir_all(to.join("longshore.db.new/occupied")).expect("a temporary folder");
    let failed = backup(&["--data", &server.data().display().to_string()], &to);
    assert!(!failed.status.success(), "{}", told(&failed));
    fs::remove_dir_all(to.join("longshore.db.new")).expect("the folder can be removed");
    copy_folder(&to, &copy);

    // A killed server leaves a write-ahead log, which is part of the data.
    server.kill9();
    let said = backup_of(&server, &to).await;
    assert!(said.contains("3 blobs"), "{said}");
    assert_eq!(walk(&to.join("content/blobs")).len(), 3, "unreferenced blobs are removed");

    server.restart().await;
    put_back(&mut server, &copy).await;
    server.registry().verify(&first, "dev/web").await;
    assert_eq!(server.registry().digest_of("dev/web", "2").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_served_only_with_its_own_database() {
    let server = on_disk().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let to = folder.path().join("backup");
    backup_of(&server, &to).await;
    let serve = |database: &Path| {
        Command::new(env!("CARGO_BIN_EXE_longshore"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(&to)
            .arg("--database")
            .arg(database)
            .env("LONGSHORE_ENCRYPTION_KEY", KEY)
            .output()
            .expect("the command runs")
    };
    let refused = serve(&folder.path().join("reg.db"));
    assert!(!refused.status.success() && told(&refused).contains("is a backup, but"), "{}", told(&refused));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_one_servers_blobs_and_anothers_database_is_rejected() {
    let (server, other) = (on_disk().await, on_disk().await);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [data, database] =
        [server.data(), other.data().join("longshore.db")].map(|at| at.display().to_string());
    let refused = backup(&["--data", &data, "--database", &database], &folder.path().join("backup"));
    let said = told(&refused);
    assert!(!refused.status.success() && said.contains("the storage belongs to another registry"), "{said}");
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries =
        fs::read_dir(folder).expect("the folder is there").map(|entry| entry.expect("readable").path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn semantics_29_restored_data_are_detected_and_a_restart_is_not() {
    let mut server = on_disk().await;
    repositories(&server.rest(), &["dev/web"]).await;
    server.terminate().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let old = folder.path().join("old");
    copy_folder(&server.data(), &old);

    server.restart().await;
    server.registry().push(&corpus::image(1, 1, 1_000), "dev/web", Some("1")).await;
    assert_eq!(pauses(&server.rest()).await, json!([]), "an orderly restart");
    server.kill9();
    server.restart().await;
    assert_eq!(pauses(&server.rest()).await, json!([]), "a killed server");
    put_back(&mut server, &old).await;
    assert_eq!(pauses(&server.rest()).await[0]["reason"], "restored");
    server.restart().await;
    assert_eq!(pauses(&server.rest()).await[0]["reason"], "restored", "the pause stays until it is resumed");
    server.rest().delete("/pauses/system").await.expect(200);
    server.restart().await;
    assert_eq!(pauses(&server.rest()).await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn semantics_29_data_restored_by_other_tools_are_served_paused_with_the_option_restored() {
    let server = Longshore::builder(env!("CARGO_BIN_EXE_longshore")).argument("--restored").start().await;
    assert_eq!(pauses(&server.rest()).await[0]["reason"], "restored");
}

#[tokio::test(flavor = "multi_thread")]
async fn semantics_29_servers_on_postgresql_and_a_bucket_share_a_mark_and_are_backed_up_to_a_folder() {
    let bucket = S3Server::start().await;
    let database = tokio::task::spawn_blocking(postgres::new_database).await.expect("a database");
    let server = || with_key(over(&bucket).argument("--database").argument(&database));
    let (mut one, mut two) = (server().start().await, server().start().await);
    repositories(&one.rest(), &["dev/web"]).await;
    let image = corpus::index(1, &["linux/amd64", "linux/arm64"], true);
    two.registry().push(&image, "dev/web", Some("1")).await;
    one.restart().await;
    two.restart().await;
    assert_eq!(pauses(&one.rest()).await, json!([]));
    assert_eq!(pauses(&two.rest()).await, json!([]));

    let folder = tempfile::tempdir().expect("a temporary folder");
    let to = folder.path().join("backup");
    let options = [
        "--database",
        &database,
        "--s3-bucket",
        BUCKET,
        "--s3-endpoint",
        &bucket.url(),
        "--s3-allow-http=true",
    ];
    let output = backup(&options, &to);
    assert!(output.status.success(), "{}", told(&output));
    let mut alone = on_disk().await;
    put_back(&mut alone, &to).await;
    assert_eq!(pauses(&alone.rest()).await[0]["reason"], "restored");
    alone.registry().verify(&image, "dev/web").await;
    scrub(&alone.rest()).await;

    // As if an older database had been restored.
    one.terminate().await;
    two.terminate().await;
    bucket.overwrite("epoch", b"1000000\n");
    one.restart().await;
    assert_eq!(pauses(&one.rest()).await[0]["reason"], "restored");
    two.restart().await;
    two.rest().delete("/pauses/system").await.expect(200);
    one.restart().await;
    assert_eq!(pauses(&one.rest()).await, json!([]));
}
