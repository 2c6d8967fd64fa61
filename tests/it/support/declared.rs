//! What an operator declares: Contoso, which shares an app, and Fabrikam, where some of its guests are at home.

pub(crate) const CONTOSO: &str = "c0c0c0c0-0000-4000-8000-000000000001";
pub(crate) const FABRIKAM: &str = "fab0fab0-0000-4000-8000-000000000002";
/// The app.
pub(crate) const EXPENSES: &str = "a99a99a9-0000-4000-8000-000000000003";
/// Contoso's trust in Fabrikam, and Contoso as a client there.
const TRUST: &str = "fed0fed0-0000-4000-8000-000000000004";
const CLIENT: &str = "c11ec11e-0000-4000-8000-000000000005";

/// A tenant with its domains, and whether they are verified. What follows it in the file is its own.
pub(crate) fn tenant(id: &str, name: &str, domains: &[(&str, bool)]) -> String {
    let domain = |(name, verified): &(&str, bool)| format!("{{ name = \"{name}\", verified = {verified} }}");
    let domains: Vec<_> = domains.iter().map(domain).collect();
    format!("[[tenant]]\nid = \"{id}\"\ndisplay_name = \"{name}\"\ndomains = [{}]\n", domains.join(", "))
}

/// An app of a tenant, which proves itself by a secret. What follows it in the file is its own.
pub(crate) fn app(id: &str, name: &str, secret: &str) -> String {
    format!("[[tenant.app]]\nid = \"{id}\"\ndisplay_name = \"{name}\"\nclient_secret = \"{secret}\"\n")
}

/// A guest.
pub(crate) fn guest(mail: &str) -> String {
    format!("[[tenant.user]]\ndisplay_name = \"A guest\"\nmail = \"{mail}\"\n")
}

/// A member with a password.
pub(crate) fn member(mail: &str, password: &str) -> String {
    format!(
        "[[tenant.user]]\nuser_type = \"Member\"\ndisplay_name = \"A member\"\nmail = \"{mail}\"\npassword = \"{password}\"\n"
    )
}

/// Where the two of them and the app are, and what they prove themselves by.
pub(crate) struct Declared<'a> {
    pub(crate) contoso: &'a str,
    pub(crate) fabrikam: &'a str,
    pub(crate) app: &'a str,
    pub(crate) app_secret: &'a str,
    pub(crate) trust_secret: &'a str,
}

impl Declared<'_> {
    /// Contoso with its app, its agreement (`terms.md`, beside the file) and its trust; `policy` is more of the tenant.
    pub(crate) fn contoso(&self, policy: &str) -> String {
        let Self { fabrikam, app: url, app_secret, trust_secret, .. } = self;
        let tenant = tenant(CONTOSO, "Contoso", &[("contoso.example", true)]);
        let app = app(EXPENSES, "Expenses", app_secret);
        format!(
            r#"{tenant}
            {policy}
            {app}
            homepage = "{url}/"
            redirect_uris = ["{url}/.vestibule/callback"]
            post_logout_redirect_uris = ["{url}/.vestibule/signed-out"]
            [[tenant.federation]]
            id = "{TRUST}"
            display_name = "Fabrikam"
            issuer = "{fabrikam}/{FABRIKAM}/v2.0"
            client_id = "{CLIENT}"
            client_secret = "{trust_secret}"
            domains = ["fabrikam.example"]
            [[tenant.agreement]]
            name = "Terms"
            [[tenant.agreement.file]]
            language = "en"
            display_name = "Terms of use"
            path = "terms.md"
            "#
        )
    }

    /// Fabrikam, which knows Contoso as a client.
    pub(crate) fn fabrikam(&self) -> String {
        let Self { contoso, trust_secret, .. } = self;
        let tenant = tenant(FABRIKAM, "Fabrikam", &[("fabrikam.example", true)]);
        let client = app(CLIENT, "Contoso", trust_secret);
        format!(
            r#"{tenant}
            {client}
            redirect_uris = ["{contoso}/{CONTOSO}/federation/{TRUST}/callback"]
            visible = false
            "#
        )
    }
}
