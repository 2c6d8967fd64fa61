//! The calls with curl that the documentation shows, as they stand there.

use serde_json::Value;
use tokio::process::Command;

use super::api::{Api, address};
use crate::support::process::Demo;

/// What the calls use of jq, for machines that do not have it.
const JQ: &str = r#"jq() { python3 -c '
import json, sys
value = json.load(sys.stdin)
path = sys.argv[1]
for name in [path[2:-1]] if path.startswith(".\"") else path.split(".")[1:]:
    value = value.get(name)
print("null" if value is None else value)' "$2"; }
"#;

#[tokio::test]
async fn the_documented_calls_do_what_is_said_of_them() {
    let demo = Demo::start();
    let api = Api::with(&demo, &["User.ReadWrite.All"]).await;
    let (text, mail) = (include_str!("../../../docs/directory-api.md"), address());
    let calls = text.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).expect("calls");
    let calls = calls
        .replace("https://HOST", &demo.origin())
        .replace("TENANT", &api.tenant)
        .replace("https://expenses.contoso.example", demo.app.url.trim_end_matches('/'))
        .replace("sam@fabrikam.example", &mail);
    let another = api.guest(&demo, &address()).await;
    let mut bash = Command::new("bash");
    bash.args(["-euo", "pipefail", "-c", &format!("{JQ}{calls}")]).env("CLIENT_ID", &api.app).env("CLIENT_SECRET", &api.secret);
    let output = bash.output().await.expect("bash runs");
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let answers: Vec<Value> =
        serde_json::Deserializer::from_str(&said).into_iter().collect::<Result<_, _>>().expect("nothing but JSON");

    // Two pages or more, with everybody who has not accepted on them, once.
    let pages: Vec<_> = answers.iter().take_while(|answer| answer["value"].is_array()).collect();
    let listed: Vec<_> = pages.iter().flat_map(|page| page["value"].as_array().expect("a list")).collect();
    assert_eq!(pages[0]["@odata.count"].as_u64(), u64::try_from(listed.len()).ok());
    assert!(pages.len() >= 2 && listed.iter().any(|user| user["id"] == another.as_str()), "{said}");
    let [one, found, restored] = &answers[pages.len()..] else { panic!("{said}") };
    assert_eq!(one["vestibuleInvitation"]["state"], "Open");
    assert_eq!(found["value"][0]["mail"], mail.as_str());
    let id = restored["id"].as_str().expect("an id");
    assert_eq!(found["value"][0]["id"], id);
    let user = api.get(&format!("/users/{id}?$select=accountEnabled")).await.expect(200).json();
    assert_eq!(user["accountEnabled"], false);
}
