//! `guest import`: everybody in a file, once.

use std::{
    collections::HashMap,
    process::ExitStatus,
    sync::mpsc::{Sender, channel},
};

use super::*;
use crate::support::count;

/// What the results say of each line of the file, the last word for each.
fn results(file: &Path) -> HashMap<u64, Vec<String>> {
    let results = std::fs::read_to_string(format!("{}.results.csv", text(file))).expect("results");
    assert!(results.starts_with("line,address,status,id,code,message,link\r\n") && results.ends_with('\n'), "{results}");
    let mut reader = csv::Reader::from_reader(results.as_bytes());
    let records = reader.records().map(|record| record.expect("a record of the same length"));
    records.map(|record| (record[0].parse().expect("a line"), record.iter().map(str::to_owned).collect())).collect()
}

/// A file that invites so many.
fn many(guests: &Guests, count: usize, send: bool, message: &str) -> PathBuf {
    let mut rows = "version:v1.0\n[inviteeEmail],[inviteRedirectURL],[sendEmail],[customizedMessageBody]\n".to_owned();
    for number in 0..count {
        rows += &format!("guest{number}@fabrikam.example,https://expenses.contoso.example/,{send},{message}\n");
    }
    guests.site.write("many.csv", &rows);
    guests.site.path("many.csv")
}

impl Guests {
    fn begin_import(&self, file: &Path, more: &[&str]) -> Process {
        Process::spawn(self.command(&[&["import", text(file)], more].concat())).0
    }

    fn import(&self, file: &Path) -> Value {
        self.json(&["import", text(file)])
    }

    /// How many mails went to each address, once all of `count` have arrived.
    async fn mails(&self, count: usize) -> HashMap<String, usize> {
        let mut mailbox = Mailbox::whole(&self.site.path("mail"));
        let (mut mails, deadline) = (HashMap::new(), Instant::now() + Duration::from_secs(120));
        loop {
            for mail in mailbox.unread() {
                *mails.entry(mail.to).or_default() += 1;
            }
            if mails.values().sum::<usize>() >= count {
                break;
            }
            assert!(Instant::now() < deadline, "{} of {count} mails", mails.len());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // One too many would come, too.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        for mail in mailbox.unread() {
            *mails.entry(mail.to).or_default() += 1;
        }
        mails
    }
}

/// Waits until the results have so many lines more.
fn until(file: &Path, more: usize, process: &Process) {
    let (results, deadline) = (format!("{}.results.csv", text(file)), Instant::now() + Duration::from_secs(60));
    let lines = || std::fs::read_to_string(&results).map_or(0, |text| text.lines().count());
    let enough = lines() + more;
    while lines() < enough {
        assert!(Instant::now() < deadline, "{}", process.log());
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[tokio::test]
async fn every_row_of_a_difficult_file_has_its_result() {
    let guests = Guests::at(Door::Socket).await;
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/bulk-invite.csv");
    let file = guests.site.path("bulk-invite.csv");
    std::fs::copy(fixture, &file).expect("a copy");
    let mut mailbox = guests.mailbox();

    let rehearsed = guests.guest(&["import", text(&file), "--dry-run"]);
    assert_eq!(rehearsed.status.code(), Some(3));
    let said = String::from_utf8(rehearsed.stdout).expect("UTF-8");
    for line in [
        "line 10: the row has 5 columns",
        "line 11: there is no redirection",
        "line 12: not an",
        "line 13: line 3 invites",
        "line 18: =cmd",
        "line 19: sendEmail is",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(said.ends_with("# Success: 6, # Failure: 6, Total: 12\n"), "{said}");
    assert!(!file.with_extension("csv.results.csv").exists());
    mailbox.stays_empty().await;

    let imported = guests.guest(&["import", text(&file)]);
    assert_eq!(imported.status.code(), Some(3), "{imported:?}");
    let said = String::from_utf8_lossy(&imported.stdout);
    assert!(said.ends_with("\n# Success: 4, # Failure: 8, Total: 12\n") && said.contains(": VB7007 "), "{said}");
    assert_eq!(said.lines().filter(|line| line.starts_with("line ")).count(), 8, "{said}");
    assert!(String::from_utf8_lossy(&imported.stderr).contains("1 were invited without a mail"), "{imported:?}");
    let results = results(&file);
    for (line, address, status, code) in [
        (3, "ana@fabrikam.example", "invited", ""),
        (8, "bob+guest@fabrikam.example", "invited", ""),
        (9, "carla@fabrikam.example", "invited", ""),
        (10, "dan@fabrikam.example", "failed", ""),
        (11, "erin@fabrikam.example", "failed", ""),
        (12, "not an address", "failed", ""),
        (13, "ANA@Fabrikam.example", "failed", ""),
        (15, "frank@contoso.example", "failed", "VB7004"),
        (16, "gus@fabrikam.example", "failed", "VB7007"),
        (17, "hans@fabrikam.example", "invited", ""),
        (18, "'=cmd|' /C calc'!A0", "failed", ""),
        (19, "ivy@fabrikam.example", "failed", ""),
    ] {
        let result = &results[&line];
        assert_eq!((result[1].as_str(), result[2].as_str(), result[4].as_str()), (address, status, code), "{result:?}");
        assert_eq!((result[3].is_empty(), result[6].as_str()), (status == "failed", ""), "an id, and no link: {result:?}");
    }
    let ana = mailbox.next_to("ana@fabrikam.example").await;
    assert!(ana.text.contains("welcome to \"Contoso\"") && ana.text.contains("Adele"), "{}", ana.text);
    let mails = guests.mails(3).await;
    assert_eq!(mails.len(), 3, "{mails:?}");

    let again = guests.guest(&["import", text(&file), "--json"]);
    let summary: Value = serde_json::from_slice(&again.stdout).expect("JSON");
    assert_eq!((&summary["success"], &summary["before"], &summary["failure"]), (&4.into(), &4.into(), &8.into()));
    let known = guests.guest(&["import", text(&file), "--dry-run", "--check-existing"]);
    assert!(String::from_utf8_lossy(&known.stdout).contains("line 3: ana@fabrikam.example is known already (PendingAcceptance)"));
    assert_eq!(guests.mails(3).await.len(), 3);

    // Corrected, the rest is done, and nothing else.
    let corrected = std::fs::read_to_string(&file).expect("text").replace("frank@contoso.example", "frank@fabrikam.example");
    std::fs::write(&file, corrected).expect("a file");
    assert_eq!(guests.guest(&["import", text(&file), "--links"]).status.code(), Some(3));
    let mails = guests.mails(4).await;
    assert!(mails.len() == 4 && mails.values().all(|count| *count == 1), "{mails:?}");
    let results = self::results(&file);
    assert!(results[&15][6].contains("ticket="), "{:?}", results[&15]);
    assert_eq!(mode(&guests.site.path("bulk-invite.csv.results.csv")), 0o600);
}

/// Cuts an import off again and again, by a signal, and then lets it come to its end, with something else going on.
async fn cut_off(door: Door, signal: &str, times: usize, meanwhile: impl FnOnce(&Guests, Sender<()>) + Send) -> Vec<ExitStatus> {
    const ROWS: usize = 500;
    let guests = Guests::at(door).await;
    let file = many(&guests, ROWS, true, "Welcome");
    let mut statuses = Vec::new();
    for _ in 0..times {
        let process = guests.begin_import(&file, &[]);
        until(&file, 20, &process);
        process.signal(signal);
        statuses.push(process.wait(SOON).expect("an end"));
    }
    let summary = std::thread::scope(|scope| {
        let (ready, wait) = channel();
        scope.spawn(|| meanwhile(&guests, ready));
        // Until it is ready, or over.
        let _ = wait.recv();
        guests.import(&file)
    });
    assert_eq!((&summary["success"], &summary["failure"], &summary["total"]), (&ROWS.into(), &0.into(), &ROWS.into()));
    assert!(summary["before"].as_u64() >= Some(1), "{summary}");
    let results = results(&file);
    assert!(results.len() == ROWS && results.values().all(|result| result[2] == "invited"));
    assert!(!guests.site.path("many.csv.results.pending").exists());
    assert_eq!(done(&guests.guest(&["list", "--all", "--json"])).lines().count(), ROWS);
    let mails = guests.mails(ROWS).await;
    let twice: Vec<_> = mails.iter().filter(|(_, count)| **count != 1).collect();
    assert!(mails.len() == ROWS && twice.is_empty(), "each has one mail: {twice:?}");
    statuses
}

#[tokio::test]
async fn killed_in_the_middle_it_goes_on_and_nobody_gets_two_mails() {
    cut_off(Door::Socket, "KILL", count(3, 5), |_, _| ()).await;
}

#[tokio::test]
async fn interrupted_it_ends_well_and_waits_when_the_server_asks_for_patience() {
    let statuses = cut_off(Door::Https, "INT", 2, crowd).await;
    assert!(statuses.iter().all(|status| status.code() == Some(3)), "{statuses:?}");
}

/// Uses up what the organisation may mail, and goes on until an import has been asked for patience, however slow the machine is.
fn crowd(guests: &Guests, ready: Sender<()>) {
    let asked_for_patience = || {
        let log = guests.process.as_ref().expect("a server").log();
        log.lines().any(|line| line.contains("/invitations") && line.contains("status=429"))
    };
    let nobody = "/users/7e1f0000-0000-4000-8000-000000000001/resendInvitation";
    let item = |id: usize| serde_json::json!({ "id": id.to_string(), "method": "POST", "url": nobody });
    let batch = serde_json::json!({ "requests": (0..20).map(item).collect::<Vec<_>>() });
    let all = async {
        let (site, client, mut ready) = (&guests.site, client(), Some(ready));
        let scope = format!("https://localhost:{}/.default", guests.secure.port());
        let form = [("grant_type", "client_credentials"), ("scope", scope.as_str())];
        let request = client.post(site.url(&format!("/{TENANT}/oauth2/v2.0/token"))).basic_auth(APP, Some(&site.secrets.app));
        let answer: Value = request.form(&form).send().await.expect("an answer").json().await.expect("JSON");
        let token = answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}"));
        let deadline = Instant::now() + SOON;
        while !asked_for_patience() {
            let request = client.post(site.url("/v1.0/$batch")).bearer_auth(token).json(&batch);
            let answer = request.send().await.expect("an answer").text().await.expect("text");
            assert!(Instant::now() < deadline, "nobody was asked for patience: {answer}");
            if answer.contains("\"status\":429") {
                drop(ready.take());
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    };
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(all);
}

#[tokio::test]
async fn a_hundred_thousand_rows_need_no_more_memory_than_a_few() {
    const MOST_KIB: u64 = 80 << 10;
    let guests = Guests::at(Door::Socket).await;
    let message = "x".repeat(1_000);
    let rows = 100_000;
    let file = many(&guests, rows, false, &message);
    assert!(std::fs::metadata(&file).expect("a file").len() > 100_000_000);
    let peak = peak(&guests.begin_import(&file, &["--dry-run"]));
    assert!(peak < MOST_KIB, "checking {rows} rows took {peak} KiB");
    let rows = count(500, rows);
    let file = many(&guests, rows, false, &message);
    let peak = self::peak(&guests.begin_import(&file, &[]));
    assert!(peak < MOST_KIB, "inviting {rows} took {peak} KiB");
    assert_eq!(results(&file).len(), rows);
}

/// The most memory that a process had until its end, in KiB.
fn peak(process: &Process) -> u64 {
    let (path, mut peak) = (format!("/proc/{}/status", process.id()), 0);
    loop {
        let status = std::fs::read_to_string(&path).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(peak);
        if let Some(status) = process.wait(Duration::from_millis(5)) {
            assert!(status.success() && peak > 0, "{}", process.log());
            return peak;
        }
    }
}
