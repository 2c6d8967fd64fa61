//! What became of the rows of a bulk invitation, in a file beside it that the next run goes on from.
//!
//! A row counts as done when it is in the results with a success. Rows that are being sent are in a second file until their
//! results are written: when the command is killed in between, the next run looks up whether they went through before it sends
//! them again, so nobody gets a second mail.

use std::{
    collections::{HashMap, HashSet},
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{domain::EmailAddress, secret::SecretHash};

/// The columns.
const HEADINGS: [&str; 7] = ["line", "address", "status", "id", "code", "message", "link"];

/// An address in as much memory as it needs to be told from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key(u128);

impl Key {
    pub(super) fn of(address: &EmailAddress) -> Self {
        let hash = *SecretHash::of(address.as_str().as_bytes()).as_bytes();
        Self(hash.iter().take(16).fold(0, |key, byte| key << 8 | u128::from(*byte)))
    }
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// There is an invitation.
    Invited,
    /// The guest had accepted one already. Nothing was sent.
    Accepted,
    /// Neither.
    Failed,
}

/// A line of the results.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Where the row begins in the file.
    pub(super) line: u64,
    pub(super) address: String,
    pub(super) status: Status,
    /// Of the user.
    pub(super) id: String,
    /// Why it failed.
    pub(super) code: String,
    pub(super) message: String,
    /// The link that redeems; only when asked for.
    pub(super) link: String,
}

/// A row that is being sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Sent {
    pub(super) address: EmailAddress,
    /// An invitation that is not older is the row's.
    pub(super) since: Timestamp,
}

/// The results of one file.
pub(super) struct Results {
    path: PathBuf,
    file: File,
    pending: PathBuf,
    /// Those whose success is in the file.
    pub(super) done: HashSet<Key>,
    /// Those that an earlier run sent without hearing what became of them.
    pub(super) unsure: HashMap<Key, Sent>,
}

impl Results {
    /// Opens the results of `file`, or makes them.
    ///
    /// # Errors
    /// When another import of the same file goes on, or what is there is something else.
    pub(super) fn open(file: &Path) -> anyhow::Result<Self> {
        let (path, pending) = (beside(file, ".results.csv"), beside(file, ".results.pending"));
        Self::open_at(&path, pending).with_context(|| path.display().to_string())
    }

    fn open_at(path: &Path, pending: PathBuf) -> anyhow::Result<Self> {
        // The links in it are for those who are invited; and addresses are nobody else's business either.
        use std::os::unix::fs::OpenOptionsExt;
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => bail!("another import of the same file goes on"),
            Err(fs::TryLockError::Error(error)) => return Err(error.into()),
        }
        begin(&mut file)?;
        end_at_a_line(&mut file)?;
        let mut results = Self { path: path.to_owned(), file, pending, done: HashSet::new(), unsure: HashMap::new() };
        results.read_done()?;
        results.read_pending()?;
        Ok(results)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn read_done(&mut self) -> anyhow::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(BufReader::new(&self.file));
        for entry in reader.deserialize() {
            let entry: Entry = entry?;
            if let (Status::Invited | Status::Accepted, Ok(address)) = (entry.status, plain(&entry.address).parse()) {
                self.done.insert(Key::of(&address));
            }
        }
        self.file.seek(SeekFrom::End(0))?;
        Ok(())
    }

    fn read_pending(&mut self) -> anyhow::Result<()> {
        let text = match fs::read(&self.pending) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error).with_context(|| self.pending.display().to_string()),
        };
        let sent: Vec<Sent> = serde_json::from_slice(&text).with_context(|| self.pending.display().to_string())?;
        let unsure = sent.into_iter().map(|sent| (Key::of(&sent.address), sent));
        self.unsure = unsure.filter(|(key, _)| !self.done.contains(key)).collect();
        Ok(())
    }

    /// Notes which rows are being sent from now on, in place of those that were noted before.
    pub(super) fn sending<'a>(&self, rows: impl Iterator<Item = &'a Sent>) -> anyhow::Result<()> {
        let rows: Vec<_> = rows.collect();
        let write = || {
            let new = self.pending.with_extension("new");
            let mut file = File::create(&new)?;
            file.write_all(&serde_json::to_vec(&rows)?)?;
            file.sync_data()?;
            anyhow::Ok(fs::rename(&new, &self.pending)?)
        };
        write().with_context(|| self.pending.display().to_string())
    }

    /// Adds what became of rows, as one whole.
    pub(super) fn add(&mut self, entries: &[Entry]) -> anyhow::Result<()> {
        let mut writer = csv::WriterBuilder::new().has_headers(false).terminator(csv::Terminator::CRLF).from_writer(Vec::new());
        for entry in entries {
            let Entry { line, address, status, id, code, message, link } = entry;
            let [address, message] = [address, message].map(|text| inert(text));
            writer.serialize((line, address, status, id, code, message, link))?;
        }
        let lines = writer.into_inner().map_err(|error| error.into_error())?;
        let mut write = || {
            self.file.write_all(&lines)?;
            self.file.sync_data()
        };
        write().with_context(|| self.path.display().to_string())
    }

    /// Nothing is being sent any more.
    pub(super) fn settled(&self) -> anyhow::Result<()> {
        match fs::remove_file(&self.pending) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| self.pending.display().to_string())
            }
            _ => Ok(()),
        }
    }
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(ending);
    name.into()
}

/// Writes the headings where there is nothing, or not yet all of them.
fn begin(file: &mut File) -> anyhow::Result<()> {
    let headings = format!("{}\r\n", HEADINGS.join(","));
    let mut there = Vec::new();
    Read::by_ref(file).take(headings.len() as u64).read_to_end(&mut there)?;
    if !headings.as_bytes().starts_with(&there) {
        bail!("this file has other columns than the results of an import; move it away");
    }
    if there.len() < headings.len() {
        file.write_all(&headings.as_bytes()[there.len()..])?;
    }
    Ok(())
}

/// Cuts off a line that was not written to its end.
fn end_at_a_line(file: &mut File) -> io::Result<()> {
    const TAIL: u64 = 64 << 10;
    let length = file.metadata()?.len();
    let start = length.saturating_sub(TAIL);
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let whole = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at as u64 + 1);
    if start + whole < length {
        file.set_len(start + whole)?;
    }
    Ok(())
}

/// A text on one line that a spreadsheet takes for text, and for no formula.
fn inert(text: &str) -> String {
    let text = text.replace(char::is_control, " ");
    if text.starts_with(FORMULA) { format!("'{text}") } else { text }
}

/// The contrary.
fn plain(text: &str) -> &str {
    text.strip_prefix('\'').filter(|text| text.starts_with(FORMULA)).unwrap_or(text)
}

/// How formulas begin.
const FORMULA: [char; 4] = ['=', '+', '-', '@'];

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(line: u64, address: &str, status: Status) -> Entry {
        let (id, code, message) = ("7e1f".into(), String::new(), "a, \"b\"\r\nc".into());
        Entry { line, address: address.into(), status, id, code, message, link: String::new() }
    }

    fn key(address: &str) -> Key {
        Key::of(&address.parse().unwrap())
    }

    #[test]
    fn what_is_done_is_known_to_the_next_run_and_what_was_torn_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("guests.csv");
        let mut results = Results::open(&file).unwrap();
        let statuses = [("a@x.example", Status::Invited), ("+b@x.example", Status::Accepted), ("c@x.example", Status::Failed)];
        results.add(&statuses.map(|(address, status)| entry(3, address, status))).unwrap();
        let sent = |address: &str| Sent { address: address.parse().unwrap(), since: Timestamp::UNIX_EPOCH };
        results.sending([sent("a@x.example"), sent("d@x.example")].iter()).unwrap();
        assert!(Results::open(&file).is_err_and(|error| format!("{error:#}").contains("another import")));
        drop(results);
        OpenOptions::new()
            .append(true)
            .open(folder.path().join("guests.csv.results.csv"))
            .unwrap()
            .write_all(b"9,d@x.exam")
            .unwrap();
        let results = Results::open(&file).unwrap();
        let done =
            ["a@x.example", "+b@x.example", "c@x.example", "d@x.example"].map(|address| results.done.contains(&key(address)));
        assert_eq!(done, [true, true, false, false]);
        assert_eq!(results.unsure.keys().copied().collect::<Vec<_>>(), [key("d@x.example")]);
        results.settled().unwrap();
        let text = fs::read_to_string(results.path()).unwrap();
        assert_eq!(text.lines().count(), 4, "{text}");
        assert!(text.contains("\r\n3,'+b@x.example,accepted,7e1f,,\"a, \"\"b\"\"  c\",\r\n"), "{text}");
        drop(results);
        assert!(Results::open(&file).unwrap().unsure.is_empty());
    }

    #[test]
    fn a_file_of_somebody_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (file, other) = (folder.path().join("guests.csv"), folder.path().join("guests.csv.results.csv"));
        fs::write(&other, "name,telephone\nAna,1").unwrap();
        assert!(Results::open(&file).is_err_and(|error| format!("{error:#}").contains("other columns")));
        assert_eq!(fs::read_to_string(&other).unwrap(), "name,telephone\nAna,1");
    }
}
