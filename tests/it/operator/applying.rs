//! `apply` and `keys`, without a server and through a running one.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::*;

impl Site {
    fn dry_run(&self) -> String {
        done(&self.command(&["apply", text(&self.path("tenants.toml")), "--dry-run"]))
    }
}

/// Waits until the running server shows something, at most a second.
async fn within_a_second<F: Future<Output = bool>>(shown: impl Fn() -> F) {
    let deadline = Instant::now() + A_SECOND;
    while !shown().await {
        assert!(Instant::now() < deadline, "not seen within a second");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn kid(token: &str) -> String {
    jsonwebtoken::decode_header(token).expect("a JWT").kid.expect("a kid")
}

/// Verifies the signature with a published key.
fn verify(token: &str, keys: &[Value]) -> Result<Value, jsonwebtoken::errors::Error> {
    let kid = kid(token);
    let key = keys.iter().find(|key| key["kid"] == kid.as_str()).unwrap_or_else(|| panic!("{kid} is not published: {keys:?}"));
    let key = jsonwebtoken::DecodingKey::from_jwk(&serde_json::from_value(key.clone()).expect("a JWK"))?;
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::decode_header(token)?.alg);
    validation.validate_aud = false;
    Ok(jsonwebtoken::decode(token, &key, &validation)?.claims)
}

#[tokio::test]
async fn offline_and_through_the_running_server_are_the_same() {
    let (offline, online) = (Site::new(), Site::new());
    let process = online.serve().await;
    assert_eq!(offline.dry_run(), online.dry_run());
    let (made, asked) = (offline.apply(), online.apply());
    assert_eq!(made["changes"], asked["changes"]);
    assert_eq!(made["changes"].as_array().map(Vec::len), Some(7), "{made}");
    for site in [&offline, &online] {
        assert_eq!(site.dry_run(), "nothing to change\n");
        site.write("tenants.toml", &site.tenants("[[tenant.app]]\ndisplay_name = \"Expenses\"\n"));
        assert_eq!(site.dry_run(), "+ app Expenses (Contoso)\n1 change would be made\n");
        let report = site.apply();
        assert_eq!(report["secrets"].as_array().map(Vec::len), Some(1), "a made secret is shown");
        assert_eq!(site.apply()["secrets"], Value::Array(Vec::new()), "once");
        site.write("tenants.toml", "[[tenant]]\ndisplay_name = \"x\"\ndomains = []\n");
    }
    let refusal = |site: &Site| failed(&site.command(&["apply", text(&site.path("tenants.toml"))]));
    assert_eq!(refusal(&offline), refusal(&online));
    assert!(refusal(&online).contains("domains: a tenant has at least one"));
    let unknown = |site: &Site| failed(&site.command(&["keys", "rotate", "nobody.example"]));
    assert_eq!(unknown(&offline), unknown(&online));
    drop(process);
}

#[tokio::test]
async fn a_running_server_sees_what_was_applied_within_a_second() {
    let site = Site::new();
    let process = site.serve().await;
    assert_eq!(site.metadata().await, 404, "there is no such tenant yet");
    site.apply();
    within_a_second(|| async { site.metadata().await == 200 }).await;

    // T-05: a program that is no longer enabled gets nothing more.
    site.token().await;
    site.write("tenants.toml", &site.tenants("").replace("permissions =", "enabled = false\npermissions ="));
    site.apply();
    within_a_second(|| async { !site.ask_for_token().await.status().is_success() }).await;
    drop(process);
}

#[tokio::test]
async fn the_socket_is_its_owners_and_goes_with_the_server() {
    let site = Site::new();
    site.apply();
    let process = site.serve().await;
    let socket = site.path("data/admin.sock");
    assert_eq!(mode(&socket), 0o600);
    assert!(!site.path("data/admin.new").exists());
    process.kill();
    assert!(socket.exists(), "nobody cleaned up");
    assert_eq!(site.dry_run(), "nothing to change\n", "a dead server's socket is in nobody's way");
    let process = site.serve().await;
    assert_eq!(mode(&socket), 0o600);
    process.signal("TERM");
    assert_eq!(process.wait(SOON).and_then(|status| status.code()), Some(0), "{}", process.log());
    assert!(!socket.exists());
    assert_eq!(site.dry_run(), "nothing to change\n");
}

/// S-20: both sets of keys are published, and what either signed can be verified, while the server runs and without one.
#[tokio::test]
async fn s_20_keys_are_rotated_by_domain_while_the_server_runs() {
    let site = Site::new();
    site.apply();
    let rotate = |more: &[&str]| done(&site.command(&[&["keys", "rotate", "contoso.example"], more].concat()));
    let process = site.serve().await;
    let (old_keys, old) = (site.keys().await, site.token().await);
    assert_eq!(old_keys.len(), 2);

    let said = rotate(&[]);
    assert!(said.lines().filter(|line| line.starts_with("+ key ")).count() == 2, "{said}");
    within_a_second(|| async { site.keys().await.len() == 4 }).await;
    assert_eq!(kid(&site.token().await), kid(&old), "the old key signs for another day");

    rotate(&["--publish-ahead", "0"]);
    within_a_second(|| async { site.keys().await.len() == 6 }).await;
    let (keys, new) = (site.keys().await, site.token().await);
    assert_ne!(kid(&new), kid(&old));
    for token in [&old, &new] {
        let claims = verify(token, &keys).expect("a valid token");
        assert_eq!(claims["tid"], TENANT, "{claims}");
        let (head, signature) = token.rsplit_once('.').expect("a JWT");
        let mut bytes = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
        bytes[10] ^= 1;
        assert!(verify(&format!("{head}.{}", URL_SAFE_NO_PAD.encode(bytes)), &keys).is_err());
    }

    process.signal("TERM");
    assert!(process.wait(SOON).is_some());
    rotate(&["--publish-ahead", "0"]);
    let process = site.serve().await;
    let (keys, newest) = (site.keys().await, site.token().await);
    assert_eq!(keys.len(), 8);
    assert!(![kid(&old), kid(&new)].contains(&kid(&newest)));
    for token in [&old, &new, &newest] {
        verify(token, &keys).expect("a valid token");
    }
    drop(process);
}

/// O-14: what the operator declares as secret is in no log and in no output, however much is logged.
#[tokio::test]
async fn o_14_no_secret_of_the_apply_file_is_logged() {
    let site = Site::new();
    let process = site.spawn(&[("RUST_LOG", "debug")]);
    site.ready(&process).await;
    let apply = || {
        let mut command = vestibule();
        command.args(["apply", text(&site.path("tenants.toml")), "--config", text(&site.path("vestibule.toml"))]);
        command.env("RUST_LOG", "debug").output().expect("the program runs")
    };
    let outputs = [apply(), apply()];
    let token = site.token().await;
    let form = [("grant_type", "client_credentials"), ("client_id", APP), ("client_secret", site.secrets.app.as_str())];
    let _ = client().post(site.url(&format!("/{TENANT}/oauth2/v2.0/token"))).form(&form).send().await.expect("sent");
    let misspelt = site.tenants("").replace("client_secret", "client_sekret").replace("password", "pasword");
    site.write("tenants.toml", &misspelt);
    let refused = apply();
    process.signal("TERM");
    assert!(process.wait(SOON).is_some());
    site.write("tenants.toml", &site.tenants(""));
    let offline = apply();

    let ring = std::fs::read_to_string(site.path("data/key-ring")).expect("a ring");
    let ring = ring.trim().split_once(':').expect("a key").1;
    let mut written = process.log();
    for output in outputs.iter().chain([&refused, &offline]) {
        written += &String::from_utf8_lossy(&output.stdout);
        written += &String::from_utf8_lossy(&output.stderr);
    }
    assert!(written.contains("unknown field `client_sekret`") && written.len() > 500, "{written}");
    let Secrets { app, federation, password } = &site.secrets;
    for secret in [app, federation, password, ring, token.as_str()] {
        assert!(!written.contains(secret), "{secret} is in:\n{written}");
    }
}
