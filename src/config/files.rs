//! The files that a configuration names, looked at without starting anything.

use std::{io, path::Path};

use super::{Config, MailTransport};
use crate::{
    http::front,
    mail::{SmtpLimits, SmtpTransport},
    seal::KeyRing,
};

/// What a look at the files has shown.
#[derive(Debug, Default)]
pub struct Findings {
    /// Files that are here and cannot be used.
    pub problems: Vec<String>,
    /// Files that are not here. Perhaps this is another machine, or they come later.
    pub missing: Vec<String>,
}

impl Config {
    /// Looks at certificates, their keys, the mail server's authority and the key ring.
    #[must_use]
    pub fn look_at_files(&self) -> Findings {
        let mut findings = Findings::default();
        for tls in self.listen.iter().filter_map(|listen| listen.tls.as_ref()) {
            let both = [&tls.certificate, &tls.key].map(|path| findings.is_here(path));
            if both == [true; 2]
                && let Err(error) = front::Tls::open(&tls.certificate, &tls.key)
            {
                findings.problems.push(format!("listen.tls: {error}"));
            }
        }
        if let MailTransport::Smtp { url, ca: Some(ca) } = &self.mail
            && findings.is_here(ca)
        {
            let problem = match std::fs::read(ca) {
                Ok(pem) => SmtpTransport::new(url, None, Some(&pem), SmtpLimits::default()).err().map(|error| error.to_string()),
                Err(error) => Some(error.to_string()),
            };
            findings.problems.extend(problem.map(|problem| format!("mail.ca: {}: {problem}", ca.display())));
        }
        // A key ring that is not there yet is made at the first start.
        if self.key_ring.exists()
            && let Err(error) = read_key_ring(&self.key_ring)
        {
            findings.problems.push(format!("key_ring: {}: {error}", self.key_ring.display()));
        }
        findings
    }
}

impl Findings {
    fn is_here(&mut self, path: &Path) -> bool {
        let here = path.exists();
        if !here {
            self.missing.push(format!("{}: there is no such file", path.display()));
        }
        here
    }
}

/// Reads a key ring that only its owner can read.
///
/// # Errors
/// [`io::ErrorKind::NotFound`] when it is not there; another error when it is unreadable, malformed, or open to others
/// (checklist F-14).
pub fn read_key_ring(path: &Path) -> io::Result<KeyRing> {
    use std::{io::Read, os::unix::fs::PermissionsExt};
    let mut file = std::fs::File::open(path)?;
    let mode = file.metadata()?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(io::Error::other(format!("the key ring can be read by others (mode {mode:o}); use: chmod 600")));
    }
    let mut text = zeroize::Zeroizing::new(String::new());
    file.read_to_string(&mut text)?;
    KeyRing::parse(&text).map_err(io::Error::other)
}
