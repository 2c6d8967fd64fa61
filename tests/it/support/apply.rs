//! What an operator changes while the server runs.

use super::{
    declared::{member, tenant},
    process::{Demo, Person, SignsInWith, data_folder, run_ok, text},
    random,
    visitor::Visitor,
};

/// Applies `declared` (TOML tables below the tenant) to the sharing tenant of `demo`, with `files` beside it.
pub(crate) fn apply(demo: &Demo, declared: &str, files: &[(&str, &str)]) -> String {
    apply_to(demo, &demo.tenant_id, "Contoso", &[(&demo.verified_domain, true)], declared, files)
}

/// Applies `declared` to any tenant of `demo`.
pub(crate) fn apply_to(
    demo: &Demo,
    id: &str,
    name: &str,
    domains: &[(&str, bool)],
    declared: &str,
    files: &[(&str, &str)],
) -> String {
    let folder = data_folder();
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).expect("a file");
    }
    let file = folder.path().join("apply.toml");
    std::fs::write(&file, tenant(id, name, domains) + declared).expect("a file");
    run_ok(&["apply", text(&file), "--data", text(demo.data())])
}

/// A member of the home organisation of `demo` who is no guest of anybody. Their address may be in a domain that the home
/// organisation has not verified.
pub(crate) async fn put_home_member(demo: &Demo, mail: &str) -> Person {
    let (id, domain) = home_tenant(demo).await;
    let other = mail.split_once('@').expect("an address").1;
    let domains = if other == domain { vec![(domain.as_str(), true)] } else { vec![(domain.as_str(), true), (other, false)] };
    let password = random();
    apply_to(demo, &id, "Fabrikam", &domains, &member(mail, &password), &[]);
    Person { email: mail.to_owned(), signs_in_with: SignsInWith::HomeOrganisation, password: Some(password) }
}

/// The other tenant of `demo`, by its id and its domain: the home organisation of its first guest.
pub(crate) async fn home_tenant(demo: &Demo) -> (String, String) {
    let person = demo.person(SignsInWith::HomeOrganisation);
    let domain = person.email.split_once('@').expect("an address").1.to_owned();
    let metadata = format!("{}/{domain}/v2.0/.well-known/openid-configuration", demo.origin());
    let metadata = Visitor::new(demo).get_json(&metadata).await.expect(200).json();
    let id = metadata["issuer"].as_str().and_then(|issuer| issuer.split('/').nth(3)).expect("a tenant in the issuer").to_owned();
    (id, domain)
}

/// Publishes an agreement that everybody owes, or a new version of it.
pub(crate) fn publish_terms(demo: &Demo, words: &str) {
    let declared = "[[tenant.agreement]]\nname = \"Addendum\"\norder = 9\n\n[[tenant.agreement.file]]\nlanguage = \"en\"\n\
                    display_name = \"Addendum\"\npath = \"addendum.md\"\n";
    apply(demo, declared, &[("addendum.md", words)]);
}

/// Adds a guest, or changes one.
pub(crate) fn put_guest(demo: &Demo, mail: &str, enabled: bool) {
    let declared = format!("[[tenant.user]]\ndisplay_name = \"{mail}\"\nmail = \"{mail}\"\naccount_enabled = {enabled}\n");
    apply(demo, &declared, &[]);
}
