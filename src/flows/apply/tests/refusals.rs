//! What cannot be declared: all of it is named, and nothing is written.

use super::*;

#[tokio::test]
async fn names_of_other_tenants_are_refused_all_at_once() {
    let house = House::new();
    house.apply(&contoso("")).await;
    let other = r#"
        [[tenant]]
        display_name = "Fabrikam"
        domains = [{ name = "fabrikam.example", verified = true }, { name = "contoso.example", verified = true }]
        hosts = ["guests.contoso.example", "vestibule.example"]
        [[tenant.app]]
        display_name = "App"
        client_secret = "short"
        [[tenant]]
        id = "90000000-0000-4000-8000-000000000009"
        display_name = "Proseware"
        domains = [{ name = "contoso.example", verified = true }, { name = "fabrikam.example", verified = true }]
    "#;
    let problems = house.refused(&desired(other)).await;
    for expected in [
        "tenant Fabrikam: contoso.example: belongs to another tenant",
        "tenant Fabrikam: host guests.contoso.example: belongs to another tenant",
        "tenant Fabrikam: hosts: the host of the public URL",
        "tenant Fabrikam: app App: client_secret has at least 32",
        "tenant Proseware: contoso.example: belongs to another tenant",
        "tenant Proseware: fabrikam.example: the file names it twice",
    ] {
        assert!(problems.iter().any(|problem| problem.starts_with(expected)), "{expected}: {problems:#?}");
    }
}

#[tokio::test]
async fn what_does_not_fit_together_is_refused() {
    let house = House::new();
    let agreement = "[[tenant.agreement]]\nname = \"Terms\"\napps = [\"Nowhere\"]\nfile = []";
    let more_terms = "[[tenant.agreement]]\nname = \"More\"\n[[tenant.agreement.file]]\nlanguage = \"en\"\ndisplay_name = \"\"\n\
        path = \"terms.md\"\n[[tenant.agreement.file]]\nlanguage = \"en\"\ndisplay_name = \"x\"\npath = \"terms.md\"";
    for (more, expected) in [
        (agreement, "there are two agreements"),
        (agreement, "there is no app Nowhere"),
        ("[[tenant.agreement]]\nname = \"Empty\"\nfile = []", "at least one file"),
        (more_terms, "en is declared twice"),
        (more_terms, "a name has 1 to 256"),
        ("[[tenant.user]]\ndisplay_name = \"x\"\nmail = \"x@y.example\"\napps = [\"Nowhere\"]", "there is no app Nowhere"),
        ("[[tenant.app]]\ndisplay_name = \"Travel\"", "two apps with this name"),
        ("[[tenant.app]]\ndisplay_name = \"Two\\nlines\"", "on one line"),
        ("[[tenant.app]]\ndisplay_name = \"P\"\npublic = true\npkce = \"exempt\"", "not for a public client"),
        ("[[tenant.app]]\ndisplay_name = \"P\"\npermissions = [\"User.Write.All\"]", "there is no permission User.Write.All"),
        ("[[tenant.app]]\ndisplay_name = \"P\"\ndelegated_permissions = [\"openid\"]", "there is no permission openid"),
        ("[[tenant.app]]\ndisplay_name = \"P\"\npublic = true\npermissions = [\"User.Invite.All\"]", "not for a public client"),
        (
            "[[tenant.federation]]\ndisplay_name = \"F\"\nissuer = \"https://f.example/?a\"\nclient_id = \"x\"\n\
             client_secret = \"\"\ndomains = [\"fabrikam.example\"]",
            "would be trusted",
        ),
        (
            "[[tenant.federation]]\ndisplay_name = \"F\"\nissuer = \"https://f.example/?a\"\nclient_id = \"x\"\n\
             client_secret = \"y\"\ndomains = []",
            "no query",
        ),
    ] {
        let problems = house.refused(&desired(&contoso(more))).await;
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected}: {problems:#?}");
    }
    for (policy, expected) in [
        ("passcode_minutes = 0", "1 to 30 minutes"),
        ("passcode_minutes = 31", "1 to 30 minutes"),
        ("session_hours = 25", "1 to 24 hours"),
        ("session_hours = 0", "1 to 24 hours"),
        ("invitation_mail = { subject = \"Hello {guest}\" }", "policy.invitation_mail.subject: the only placeholders"),
        ("invitation_mail = { from_name = \"ceo@bank.example\" }", "policy.invitation_mail.from_name: a name is not an address"),
        ("redemption_order = []", "at least one way"),
        ("redemption_order = [], upstream_only = true", "at least one way"),
        ("redemption_order = [\"home_organisation\"]", "unless upstream_only is true"),
        ("upstream_only = true", "home_organisation alone"),
    ] {
        let text = contoso("").replace("branding = {", &format!("policy = {{ {policy} }}\nbranding = {{"));
        let problems = house.refused(&desired(&text)).await;
        assert!(problems.len() == 1 && problems[0].contains(expected), "{policy}: {problems:?}");
    }
    let nothing = "[[tenant]]\ndisplay_name = \"x\"\ndomains = []";
    assert!(house.refused(&desired(nothing)).await[0].contains("at least one"));
}

/// D-12: times at the edge of what a number can hold are refused where they are read, not added up.
#[test]
fn d_12_numbers_out_of_range_are_no_policy() {
    for policy in ["passcode_minutes = -1", "passcode_minutes = 256", "session_hours = 9223372036854775807"] {
        let text = contoso("").replace("branding = {", &format!("policy = {{ {policy} }}\nbranding = {{"));
        assert!(toml::from_str::<Desired>(&text).is_err(), "{policy}");
    }
}

#[test]
fn a_file_that_cannot_be_read_says_where_and_shows_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tenants.toml");
    let load = |text: &str| {
        std::fs::write(&file, text).unwrap();
        Desired::load(&file).map(|_| ()).unwrap_err().to_string()
    };
    let misspelt = load(&contoso("").replace("client_secret = \"0", "client_sekret = \"0"));
    assert!(
        misspelt.contains("unknown field `client_sekret`") && misspelt.contains('^') && !misspelt.contains(SECRET),
        "{misspelt}"
    );
    let bad = load(&contoso("").replace("maria@fabrikam.example", "maria"));
    assert!(bad.contains("e-mail") && bad.contains('^'), "{bad}");
    let missing = load(&contoso(""));
    assert!(missing.contains("terms.md") && missing.contains("logo.png"), "all missing files are named: {missing}");
    assert!(Desired::load(&folder.path().join("nothing.toml")).unwrap_err().to_string().contains("nothing.toml"));
}
