//! What arrived by mail: the demo delivers every message as an `.eml` file.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use mail_parser::MessageParser;

/// How long a message may take: it is queued in the store and sent by a worker.
const ARRIVES_WITHIN: Duration = Duration::from_secs(20);

/// A message as its reader sees it.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    pub(crate) to: String,
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) html: String,
}

impl Mail {
    /// The one-time passcode: the only run of exactly eight digits in the text, which may be grouped by a space.
    pub(crate) fn passcode(&self) -> String {
        let joined: String = self.text.lines().map(|line| line.replace(' ', "") + "\n").collect();
        let runs: HashSet<_> = joined.split(|c: char| !c.is_ascii_digit()).filter(|run| run.len() == 8).collect();
        assert_eq!(runs.len(), 1, "one passcode in:\n{}", self.text);
        runs.into_iter().next().unwrap_or_default().to_owned()
    }
}

/// The tickets of all invitations that were ever mailed into `folder`: each is a secret.
pub(crate) fn tickets(folder: &Path) -> Vec<String> {
    let mut all = Mailbox::whole(folder);
    let texts = all.unread().into_iter().map(|mail| mail.text);
    texts.flat_map(|text| text.split("ticket=").skip(1).map(token).collect::<Vec<_>>()).collect()
}

/// The base64url characters that `text` begins with.
fn token(text: &str) -> String {
    text.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect()
}

/// The folder of one demo, read from the moment it was opened on.
#[derive(Debug)]
pub(crate) struct Mailbox {
    folder: PathBuf,
    read: HashSet<PathBuf>,
}

impl Mailbox {
    /// Messages that are there already count as read.
    pub(crate) fn open(folder: &Path) -> Self {
        let mut mailbox = Self { folder: folder.to_owned(), read: HashSet::new() };
        mailbox.read = mailbox.files().into_iter().collect();
        mailbox
    }

    /// From its first message on.
    pub(crate) fn whole(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), read: HashSet::new() }
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut files: Vec<_> =
            entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "eml")).collect();
        files.sort();
        files
    }

    /// Every unread message, oldest first.
    pub(crate) fn unread(&mut self) -> Vec<Mail> {
        let mut mails = Vec::new();
        for path in self.files() {
            if self.read.insert(path.clone()) {
                mails.push(parse(&std::fs::read(&path).unwrap_or_default()));
            }
        }
        mails
    }

    /// The next message to `address`.
    pub(crate) async fn next_to(&mut self, address: &str) -> Mail {
        let deadline = Instant::now() + ARRIVES_WITHIN;
        loop {
            if let Some(mail) = self.unread().into_iter().find(|mail| mail.to.eq_ignore_ascii_case(address)) {
                return mail;
            }
            assert!(Instant::now() < deadline, "no mail to {address} in {}", self.folder.display());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Asserts that nothing arrives for a while in which something would have.
    pub(crate) async fn stays_empty(&mut self) {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let mails = self.unread();
        assert!(mails.is_empty(), "unexpected mail: {mails:?}");
    }
}

fn parse(bytes: &[u8]) -> Mail {
    let message = MessageParser::default().parse(bytes).expect("a well-formed message");
    let to = message.to().and_then(|to| to.first()).and_then(|to| to.address()).unwrap_or_default();
    Mail {
        to: to.to_owned(),
        subject: message.subject().unwrap_or_default().to_owned(),
        text: message.body_text(0).unwrap_or_default().into_owned(),
        html: message.body_html(0).unwrap_or_default().into_owned(),
    }
}
