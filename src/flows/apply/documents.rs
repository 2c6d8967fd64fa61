//! Documents and pictures that an apply file names: checked for kind and size, stored in pieces under their hash.

use std::path::Path;

use base64::{Engine, prelude::BASE64_STANDARD};

use super::spec::Desired;
use crate::{
    domain::{
        TenantId,
        terms::{DocumentId, MediaType},
    },
    flows::Foundation,
    store::{
        Batch, Partition, StoreError, Write,
        records::{self, DocumentInfo},
    },
};

/// The largest document, in bytes.
pub const DOCUMENT_LIMIT: usize = 10 << 20;
/// The largest logo, in bytes.
pub const LOGO_LIMIT: usize = 100 << 10;
/// Documents are stored in pieces of this many bytes.
const CHUNK: usize = 256 << 10;

/// A document that can be stored.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) id: DocumentId,
    pub(super) media: MediaType,
    pub(super) bytes: Vec<u8>,
}

impl Desired {
    /// A named file as a document.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub(super) fn document(&self, path: &Path) -> Result<Document, String> {
        let bytes = self.bytes(path)?;
        if bytes.is_empty() || bytes.len() > DOCUMENT_LIMIT {
            return Err(format!("{}: a document has at least a byte and at most 10 MiB", path.display()));
        }
        let media = match path.extension().and_then(|ending| ending.to_str()) {
            Some("pdf") if bytes.starts_with(b"%PDF-") => MediaType::Pdf,
            Some("md") if std::str::from_utf8(&bytes).is_ok() => MediaType::Markdown,
            Some("txt") if std::str::from_utf8(&bytes).is_ok() => MediaType::Text,
            _ => return Err(format!("{}: a document is a PDF (.pdf), or UTF-8 text (.md, .txt)", path.display())),
        };
        Ok(Document { id: DocumentId::of(&bytes), media, bytes })
    }

    /// A named file as a logo. It is kept like a document; what kind it is follows from where it is used.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub(super) fn logo(&self, path: &Path) -> Result<Document, String> {
        let bytes = self.bytes(path)?;
        if bytes.starts_with(b"\x89PNG\r\n\x1a\n") && bytes.len() <= LOGO_LIMIT {
            Ok(Document { id: DocumentId::of(&bytes), media: MediaType::Text, bytes })
        } else {
            Err(format!("{}: a logo is a PNG of at most 100 KiB", path.display()))
        }
    }

    fn bytes(&self, path: &Path) -> Result<Vec<u8>, String> {
        let text = self.files.get(path).ok_or_else(|| format!("{}: the file is missing", path.display()))?;
        BASE64_STANDARD.decode(text).map_err(|_| format!("{}: the file is not base64", path.display()))
    }
}

/// Stores a document under its hash; one that is there already is not written again. What it is comes last, so that a
/// document which has a description is whole.
pub(super) async fn store(foundation: &Foundation, tenant: TenantId, document: &Document) -> Result<(), StoreError> {
    let key = records::document(tenant, &document.id);
    if foundation.store.get(&key).await?.is_some() {
        return Ok(());
    }
    let mut chunks = 0;
    for (index, chunk) in (0u32..).zip(document.bytes.chunks(CHUNK)) {
        let key = records::document_chunk(tenant, &document.id, index);
        let value = bytes::Bytes::copy_from_slice(chunk);
        foundation.store.commit(Batch::new(Partition::Tenant(tenant)).write(Write::Put { key, value, expires: None })).await?;
        chunks = index + 1;
    }
    let info = DocumentInfo { media: document.media, size: document.bytes.len() as u64, chunks };
    foundation.store.commit(Batch::new(Partition::Tenant(tenant)).put(&key, &info)).await
}
