//! Every grant meets the whole policy: what was given before a change gives nothing after it.

use crate::support::{
    apply::{apply, home_tenant, publish_terms, put_guest},
    client::{Client, Request},
    declared,
    journey::Guest,
    process::Demo,
    soon,
    visitor::Answer,
};

/// What somebody has who was let in: a session, a code that was not traded yet, a refresh token, an access token.
struct Given<'a> {
    guest: Guest<'a>,
    code: (String, Request),
    refresh: String,
    access: String,
}

impl<'a> Given<'a> {
    async fn new(demo: &'a Demo, client: &Client) -> Self {
        let mut guest = Guest::signed_in(demo).await;
        let request = client.request().with("scope", "openid offline_access").with("prompt", "consent");
        let code = client.code(&mut guest, &request).await;
        let tokens = client.exchange(demo, &code, &request).await;
        let request = client.request();
        let code = (client.code(&mut guest, &request).await, request);
        Self { guest, code, refresh: tokens.refresh_token.expect("a refresh token"), access: tokens.access_token }
    }

    /// Asks for everything that it could be good for; gives what was answered to each.
    async fn used(&mut self, client: &Client) -> [(&'static str, Answer); 4] {
        let (code, request) = &self.code;
        let refresh = [("grant_type", "refresh_token".to_owned()), ("refresh_token", self.refresh.clone())];
        [
            ("access token", client.userinfo(&self.access).await),
            ("code", client.token(&client.code_grant(code, &request.verifier)).await),
            ("refresh token", client.token(&refresh).await),
            ("session", self.guest.browser.open(&client.request().with("prompt", "none").url()).await),
        ]
    }
}

/// Where an answer leads, and whether it gives anything: what was asked for, or a new code.
fn gives(answer: &Answer) -> (bool, String) {
    let back = answer.onward().map(String::from).unwrap_or_default();
    (answer.status.is_success() || back.contains("code="), back)
}

/// The sample app once more, with `more` of it.
fn app(demo: &Demo, more: &str) {
    let app = &demo.app;
    let declared = declared::app(&app.client_id, "Expenses", &app.client_secret);
    let places = format!("homepage = \"{}\"\nredirect_uris = [\"{}\"]\n", app.url, app.redirect_uri);
    apply(demo, &format!("{declared}{places}{more}\n"), &[]);
}

/// The guests' home organisation, no longer in use.
fn switch_off_home(demo: &Demo, issuer: &str, domain: &str) {
    let declared = format!(
        "[[tenant.federation]]\ndisplay_name = \"Fabrikam\"\nissuer = \"{issuer}\"\nclient_id = \"any\"\nclient_secret = \"any\"\n\
         domains = [\"{domain}\"]\nenabled = false\n"
    );
    apply(demo, &declared, &[]);
}

/// T-13, T-05, T-07: whatever says no says it to every grant, and to the session that would give a new one.
#[tokio::test]
async fn t_13_t_05_t_07_every_grant_meets_every_policy() {
    let demo = Demo::start();
    let client = Client::of(&demo).await;
    let guest = Guest::signed_in(&demo).await.person.email;
    let (home, domain) = home_tenant(&demo).await;
    let issuer = format!("{}/{home}/v2.0", demo.origin());
    let changes: [(&str, &dyn Fn(bool)); 6] = [
        ("the app is switched off", &|on| app(&demo, if on { "enabled = false" } else { "enabled = true" })),
        ("the app is for those assigned", &|on| app(&demo, if on { "assignment_required = true" } else { "" })),
        ("the guest is blocked", &|on| put_guest(&demo, &guest, !on)),
        ("the tenant is suspended", &|on| drop(apply(&demo, if on { "enabled = false\n" } else { "enabled = true\n" }, &[]))),
        ("there are new terms", &|on| {
            if on {
                publish_terms(&demo, "# Once more\n\nBe kinder.\n")
            }
        }),
        // The last, since nobody knows the secret that would switch it on again.
        ("the home organisation is switched off", &|_| switch_off_home(&demo, &issuer, &domain)),
    ];
    for (which, answer) in Given::new(&demo, &client).await.used(&client).await {
        assert!(gives(&answer).0, "before any change the {which} gives {}: {}", answer.status, answer.body);
    }
    for (what, change) in changes {
        let mut given = Given::new(&demo, &client).await;
        change(true);
        let (access, http) = (given.access.clone(), &client);
        assert!(soon(async || http.userinfo(&access).await.status.is_client_error()).await, "{what}");
        for (which, answer) in given.used(&client).await {
            let (gives, back) = gives(&answer);
            assert!(!gives, "{what}: the {which} gives {}: {back} {}", answer.status, answer.body);
        }
        change(false);
    }
}
