//! The tenants of the benchmark, as files that a server reads: one whose guests sign in again and again, and one for every
//! round of first visits.

use std::{fmt::Write, fs, net::TcpListener, path::Path};

/// The app whose tokens are all ES256.
pub(crate) const ES256: &str = "00000000-0000-4000-8000-0000000000e5";
/// The app whose ID tokens are RS256, as is the default.
pub(crate) const RS256: &str = "00000000-0000-4000-8000-000000000256";
/// The secret of both.
pub(crate) const SECRET: &str = "a secret of the benchmark, and long enough";
/// Where both get their codes.
pub(crate) const CALLBACK: &str = "https://app.example/callback";
/// Guests of the tenant that is used again and again.
pub(crate) const REGULARS: usize = 16;

/// A tenant: the domain by which links name it.
pub(crate) fn domain(round: usize) -> String {
    format!("contoso{round}.example")
}

/// A guest of a tenant.
pub(crate) fn guest(round: usize, number: usize) -> String {
    format!("guest{number}@guests{round}.example")
}

/// Writes a configuration and tenants: tenant 0 with the regulars, the others with `newcomers` each.
pub(crate) fn write(folder: &Path, rounds: usize, newcomers: usize) {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    let config = format!(
        "public_url = \"http://localhost:{port}\"\ndata = \"data\"\n[[listen]]\naddress = \"127.0.0.1:{port}\"\n\
         [mail]\nfrom_name = \"Contoso\"\nfrom = \"guests@contoso0.example\"\nfolder = \"mail\"\n"
    );
    let mut tenants = String::new();
    for round in 0..=rounds {
        tenant(&mut tenants, round, if round == 0 { REGULARS } else { newcomers }).expect("text");
    }
    for (name, text) in [("vestibule.toml", config), ("tenants.toml", tenants), ("terms.md", terms())] {
        fs::write(folder.join(name), text).expect("a file");
    }
}

fn tenant(text: &mut String, round: usize, guests: usize) -> std::fmt::Result {
    let name = domain(round);
    writeln!(text, "[[tenant]]\ndisplay_name = \"Contoso\"\ndomains = [{{ name = \"{name}\", verified = true }}]")?;
    for (id, alg) in [(ES256, "ES256"), (RS256, "RS256")] {
        writeln!(
            text,
            "[[tenant.app]]\nid = \"{id}\"\ndisplay_name = \"App {alg}\"\nhomepage = \"https://app.example/\"\n\
             redirect_uris = [\"{CALLBACK}\"]\nclient_secret = \"{SECRET}\"\nid_token_alg = \"{alg}\"\n\
             permissions = [\"User.Invite.All\", \"User.Read.All\"]"
        )?;
    }
    text.write_str("[[tenant.agreement]]\nname = \"Terms\"\n[[tenant.agreement.file]]\nlanguage = \"en\"\n")?;
    text.write_str("display_name = \"Terms of use\"\npath = \"terms.md\"\n")?;
    for number in 0..guests {
        let mail = guest(round, number);
        writeln!(text, "[[tenant.user]]\ndisplay_name = \"Guest {number}\"\nmail = \"{mail}\"")?;
    }
    Ok(())
}

fn terms() -> String {
    "# Terms of use\n\nWhat you see here stays here.\n\n".to_owned() + &"Another paragraph that somebody reads.\n\n".repeat(20)
}
