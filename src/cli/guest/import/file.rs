//! The file of a bulk invitation, row by row (b2b-facts section 11, with the quoting of RFC 4180).
//!
//! ```csv
//! version:v1.0
//! Email address to invite [inviteeEmail] Required,Redirection url [inviteRedirectURL] Required,Send invitation message (true or false) [sendEmail],Customized invitation message [customizedMessageBody]
//! ana@fabrikam.example,https://apps.contoso.example,true,"Welcome, Ana."
//! ```
//!
//! The key in brackets says what a column is, whatever stands around it; a heading may also be the key alone, and then the first
//! line may be missing. Columns with other keys are ignored. Without `sendEmail`, nothing is mailed.

use std::{
    fs::File,
    io::{self, Read, Seek},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use csv::{ByteRecord, ReaderBuilder, Terminator};

use crate::{
    domain::{EmailAddress, WebUrl},
    mail::MESSAGE_MAX,
};

/// The longest row, in bytes. A quote that is not closed would make one row of the rest of the file.
const ROW_MAX: u64 = 256 << 10;
/// How much is read at once, in bytes.
const BUFFER: u64 = 64 << 10;
/// What the first line says.
const VERSION: &str = "version:v1.0";
/// How the row begins that explains the template.
const EXAMPLE: &str = "Example:";

/// Why a file cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("{0}")]
    Read(io::Error),
    #[error("line {0}: this is not UTF-8; save the file as \"CSV UTF-8\"")]
    Encoding(u64),
    #[error("this is UTF-16; save the file as \"CSV UTF-8\"")]
    Utf16,
    #[error("line {0}: the row that begins here is longer than 256 KiB; is a quote (\") not closed?")]
    RowTooLong(u64),
    #[error("line 1: this version of the format is not known; it is {VERSION}")]
    Version,
    #[error("there are no headings; they are: [inviteeEmail],[inviteRedirectURL],[sendEmail],[customizedMessageBody]")]
    NoHeadings,
    #[error("line {0}: the columns are separated by something else than commas")]
    Separator(u64),
    #[error("line {line}: there is no column [{key}]")]
    ColumnMissing { line: u64, key: &'static str },
    #[error("line {line}: there are two columns [{key}]")]
    ColumnTwice { line: u64, key: &'static str },
    #[error("line {0}: this is the example of the template; remove the line")]
    Example(u64),
}

/// One row.
#[derive(Debug, PartialEq)]
pub(super) struct Row {
    /// Where it begins, from 1.
    pub(super) line: u64,
    /// As it stands there.
    pub(super) address: String,
    /// What it asks for, or why it cannot be asked for.
    pub(super) invitee: Result<Invitee, String>,
}

/// Whom to invite.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Invitee {
    pub(super) address: EmailAddress,
    pub(super) redirect: WebUrl,
    pub(super) send: bool,
    pub(super) message: Option<String>,
}

/// The rows of a file, which is read as they are asked for.
pub(super) struct Rows {
    reader: csv::Reader<Metered>,
    /// Bytes that may still be read for the row.
    budget: Arc<AtomicU64>,
    record: ByteRecord,
    columns: Columns,
    seen: bool,
}

/// The places of the columns.
#[derive(Debug, Default)]
struct Columns {
    address: usize,
    redirect: usize,
    send: Option<usize>,
    message: Option<usize>,
    count: usize,
}

/// Reads no more than there is budget for, and ends the last line where the file does not.
struct Metered {
    file: File,
    budget: Arc<AtomicU64>,
    last: u8,
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.budget.load(Ordering::Relaxed);
        if left == 0 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut read = self.file.read(buffer)?;
        if let ([first, ..], 0, true) = (&mut *buffer, read, self.last != b'\n') {
            (*first, read) = (b'\n', 1);
        }
        self.last = buffer[..read].last().copied().unwrap_or(self.last);
        self.budget.store(left.saturating_sub(read as u64), Ordering::Relaxed);
        Ok(read)
    }
}

impl Rows {
    /// Opens a file and reads its headings.
    ///
    /// # Errors
    /// When it cannot be read, or is no such file.
    pub(super) fn open(path: &Path) -> Result<Self, FileError> {
        let mut file = File::open(path).map_err(FileError::Read)?;
        let mut start = Vec::new();
        Read::by_ref(&mut file).take(2).read_to_end(&mut start).map_err(FileError::Read)?;
        if matches!(start.as_slice(), [0xff, 0xfe] | [0xfe, 0xff]) {
            return Err(FileError::Utf16);
        }
        file.rewind().map_err(FileError::Read)?;
        let budget = Arc::new(AtomicU64::new(ROW_MAX + BUFFER));
        let metered = Metered { file, budget: Arc::clone(&budget), last: b'\n' };
        let mut builder = ReaderBuilder::new();
        // Only a line feed ends a record: told with the other ends of lines, its line would be that of the blank ones before it.
        builder.has_headers(false).flexible(true).terminator(Terminator::Any(b'\n')).buffer_capacity(BUFFER as usize);
        let reader = builder.from_reader(metered);
        let mut rows = Self { reader, budget, record: ByteRecord::new(), columns: Columns::default(), seen: false };
        let Some((mut line, mut headings)) = rows.fields()? else { return Err(FileError::NoHeadings) };
        let first = headings.first().map(|first| first.trim()).unwrap_or_default();
        if first.starts_with("version:") {
            if first != VERSION {
                return Err(FileError::Version);
            }
            (line, headings) = rows.fields()?.ok_or(FileError::NoHeadings)?;
        }
        rows.columns = Columns::read(line, &headings)?;
        Ok(rows)
    }

    /// The next row that has anything in it.
    ///
    /// # Errors
    /// When the file cannot be read on.
    pub(super) fn next(&mut self) -> Result<Option<Row>, FileError> {
        loop {
            let Some((line, fields)) = self.fields()? else { return Ok(None) };
            if fields.iter().all(|field| field.trim().is_empty()) {
                continue;
            }
            if !std::mem::replace(&mut self.seen, true) && fields.iter().any(|field| field.trim_start().starts_with(EXAMPLE)) {
                return Err(FileError::Example(line));
            }
            let address = fields.get(self.columns.address).map(|field| field.trim().to_owned()).unwrap_or_default();
            return Ok(Some(Row { line, address, invitee: self.columns.invitee(&fields) }));
        }
    }

    /// The fields of the next record, and its line.
    fn fields(&mut self) -> Result<Option<(u64, Vec<String>)>, FileError> {
        self.budget.store(ROW_MAX + BUFFER, Ordering::Relaxed);
        let before = self.reader.position().line();
        let read = self.reader.read_byte_record(&mut self.record);
        // It ends with a line, and has some in it.
        let within = self.record.as_slice().iter().filter(|byte| **byte == b'\n').count() as u64;
        let line = self.reader.position().line().saturating_sub(1 + within);
        match read {
            Ok(false) => Ok(None),
            Ok(true) if self.record.as_slice().len() as u64 > ROW_MAX => Err(FileError::RowTooLong(line)),
            Ok(true) => {
                let text = |field: &[u8]| String::from_utf8(field.to_owned()).map_err(|_| FileError::Encoding(line));
                let mut fields = self.record.iter().map(text).collect::<Result<Vec<_>, _>>()?;
                if let Some(last) = fields.last_mut().filter(|last| last.ends_with('\r')) {
                    last.pop();
                }
                Ok(Some((line, fields)))
            }
            Err(error) => match error.into_kind() {
                csv::ErrorKind::Io(error) if error.kind() == io::ErrorKind::FileTooLarge => Err(FileError::RowTooLong(before)),
                csv::ErrorKind::Io(error) => Err(FileError::Read(error)),
                // Others are for records that have to be of one length, or text.
                other => Err(FileError::Read(io::Error::other(format!("{other:?}")))),
            },
        }
    }
}

impl Columns {
    fn read(line: u64, headings: &[String]) -> Result<Self, FileError> {
        let keys: Vec<_> = headings.iter().map(|heading| key(heading)).collect();
        if let [_] = headings
            && headings.iter().any(|heading| heading.contains([';', '\t']))
        {
            return Err(FileError::Separator(line));
        }
        let place = |key: &'static str| {
            let mut places = (0..keys.len()).filter(|at| keys[*at].eq_ignore_ascii_case(key));
            match (places.next(), places.next()) {
                (_, Some(_)) => Err(FileError::ColumnTwice { line, key }),
                (place, None) => Ok(place),
            }
        };
        let required = |key| place(key)?.ok_or(FileError::ColumnMissing { line, key });
        Ok(Self {
            address: required("inviteeEmail")?,
            redirect: required("inviteRedirectURL")?,
            send: place("sendEmail")?,
            message: place("customizedMessageBody")?,
            count: headings.len(),
        })
    }

    fn invitee(&self, fields: &[String]) -> Result<Invitee, String> {
        let field = |at: usize| fields.get(at).map(|field| field.trim()).filter(|field| !field.is_empty());
        if fields.iter().skip(self.count).any(|field| !field.trim().is_empty()) {
            let (count, headings) = (fields.len(), self.count);
            return Err(format!(
                "the row has {count} columns and there are {headings} headings: a text with a comma needs quotes (\") around it"
            ));
        }
        let address = field(self.address).ok_or("there is no address")?;
        let address = address.parse::<EmailAddress>().map_err(|error| format!("{address}: {error}"))?;
        let redirect = field(self.redirect).ok_or("there is no redirection URL")?;
        let redirect = redirect.parse::<WebUrl>().map_err(|error| format!("{redirect}: {error}"))?;
        let send = match self.send.and_then(field) {
            None => false,
            Some(text) if text.eq_ignore_ascii_case("true") => true,
            Some(text) if text.eq_ignore_ascii_case("false") => false,
            Some(text) => return Err(format!("sendEmail is true or false, not {text:?}")),
        };
        let message = self.message.and_then(field).map(str::to_owned);
        if message.as_ref().is_some_and(|message| message.chars().count() > MESSAGE_MAX) {
            return Err(format!("the message is longer than {MESSAGE_MAX} characters"));
        }
        Ok(Invitee { address, redirect, send, message })
    }
}

/// What a heading calls its column: what is in the last brackets, or all of it.
fn key(heading: &str) -> &str {
    let bracketed = heading.rfind('[').and_then(|open| Some(&heading[open + 1..][..heading[open + 1..].find(']')?]));
    bracketed.unwrap_or(heading).trim()
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
