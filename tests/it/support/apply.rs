//! What an operator changes while the server runs.

use super::process::{Demo, data_folder, run_ok, text};

/// Applies `declared` (TOML tables below the tenant) to the sharing tenant of `demo`, with `files` beside it.
pub(crate) fn apply(demo: &Demo, declared: &str, files: &[(&str, &str)]) -> String {
    let folder = data_folder();
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).expect("a file");
    }
    let file = folder.path().join("apply.toml");
    let tenant = format!(
        "[[tenant]]\nid = \"{}\"\ndisplay_name = \"Contoso\"\ndomains = [{{ name = \"{}\", verified = true }}]\n\n{declared}",
        demo.tenant_id, demo.verified_domain
    );
    std::fs::write(&file, tenant).expect("a file");
    run_ok(&["apply", text(&file), "--data", text(demo.data())])
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
