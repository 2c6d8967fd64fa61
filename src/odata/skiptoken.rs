//! Page tokens (checklist A-01): where the next page begins, sealed, good for one query of one collection of one tenant.
//!
//! A position is a typed value and is opened only under the key of this server and the same tenant, collection and query, so
//! nothing that a client can write reaches the store.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    error::{Error, ErrorCode},
    query::Query,
    select::Envelope,
};
use crate::{clock::Entropy, domain::TenantId, oidc::params, seal::KeyRing};

/// How long a token is good for. A reader that follows the links takes seconds a page.
pub const LIFE: SignedDuration = SignedDuration::from_hours(24);

/// What is sealed.
#[derive(Serialize, Deserialize)]
struct Sealed<P> {
    /// In seconds since 1970.
    expires: i64,
    position: P,
}

/// Makes and reads the page tokens of one query.
#[derive(Clone, Copy, Debug)]
pub struct Pages<'a> {
    /// The server's ring. Rotation keeps tokens that were made under older keys.
    pub ring: &'a KeyRing,
    /// Whose entities are listed.
    pub tenant: TenantId,
    /// Where the collection is.
    pub envelope: Envelope<'a>,
    /// What is asked of it.
    pub query: &'a Query,
}

impl Pages<'_> {
    /// The link to the page that begins after `position`: an absolute URL with the whole query, which clients follow unread.
    ///
    /// `position` is plain data in the sense of `postcard` (no [`serde_json::Value`]), of one type for each collection and order:
    /// the key of the last entity that was looked at, answered or not.
    #[must_use]
    pub fn next_link<P: Serialize>(&self, position: P, now: Timestamp, entropy: &dyn Entropy) -> String {
        let Envelope { service, collection } = self.envelope;
        let mut link = format!("{service}/{collection}?{}&$skiptoken", self.query.canonical());
        params::append(&mut link, "", &self.seal(position, now, entropy));
        link
    }

    /// The token alone, as in [`Pages::next_link`].
    #[must_use]
    pub fn seal<P: Serialize>(&self, position: P, now: Timestamp, entropy: &dyn Entropy) -> String {
        let expires = now.as_second().saturating_add(LIFE.as_secs());
        self.ring.seal(&self.purpose(), &Sealed { expires, position }, entropy)
    }

    /// Where the page begins: the position in the query's token; `None` on the first page.
    ///
    /// # Errors
    /// 400 when the token is not ours, was changed, belongs to another tenant, collection or query; 400
    /// `Directory_ExpiredPageToken` when it is older than [`LIFE`].
    pub fn open<P: DeserializeOwned>(&self, now: Timestamp) -> Result<Option<P>, Error> {
        let Some(token) = &self.query.skip_token else { return Ok(None) };
        let sealed: Sealed<P> = self.ring.open(&self.purpose(), token).ok_or_else(|| {
            Error::bad_request(
                "Invalid $skiptoken: it belongs to another request, or was changed. Follow '@odata.nextLink' as it is.",
            )
        })?;
        if now.as_second() >= sealed.expires {
            return Err(Error::new(ErrorCode::ExpiredPageToken, "The page token has expired. Begin again with the first page."));
        }
        Ok(Some(sealed.position))
    }

    /// What has to be the same when the token comes back. The lengths keep the parts apart.
    fn purpose(&self) -> Vec<u8> {
        let query = self.query.canonical();
        let mut purpose = b"odata skiptoken 1".to_vec();
        for part in [self.tenant.as_bytes().as_slice(), self.envelope.collection.as_bytes(), query.as_bytes()] {
            purpose.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            purpose.extend_from_slice(part);
        }
        purpose
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::SeededEntropy,
        odata::schema::{Ops, Property, Schema, Shape, Type},
    };

    const NAME: Shape = Shape::Single(Type::String, Ops::EQUALITY);
    const USERS: Schema = Schema {
        entity: "user",
        properties: &[Property::new("id", NAME).sortable(), Property::new("mail", NAME).sortable()],
        default_top: 100,
    };
    const ENVELOPE: Envelope<'_> = Envelope { service: "https://guests.example/v1.0", collection: "users" };

    /// A server with a key, a tenant and a clock that stands still.
    struct Setting {
        ring: KeyRing,
        tenant: TenantId,
        entropy: SeededEntropy,
    }

    impl Setting {
        fn new() -> Self {
            let entropy = SeededEntropy::new(1);
            Self { ring: KeyRing::parse(&KeyRing::generate(&entropy)).unwrap(), tenant: TenantId::random(&entropy), entropy }
        }

        fn token(&self, raw: &str) -> String {
            let query = Query::parse(raw, &USERS).unwrap();
            let pages = Pages { ring: &self.ring, tenant: self.tenant, envelope: ENVELOPE, query: &query };
            pages.seal(("mike@contoso.example", 7u64), Timestamp::UNIX_EPOCH, &self.entropy)
        }

        fn open(&self, tenant: TenantId, collection: &str, raw: &str, token: &str) -> Result<Option<(String, u64)>, Error> {
            let mut query = Query::parse(raw, &USERS)?;
            query.skip_token = Some(token.to_owned());
            let envelope = Envelope { collection, ..ENVELOPE };
            Pages { ring: &self.ring, tenant, envelope, query: &query }.open(Timestamp::UNIX_EPOCH)
        }
    }

    const RAW: &str = "$filter=mail%20eq%20'a'&$select=id,mail&$orderby=mail%20desc&$top=5&$count=true";

    #[test]
    fn a_01_a_changed_page_token_is_refused() {
        let setting = Setting::new();
        let token = setting.token(RAW);
        assert_eq!(setting.open(setting.tenant, "users", RAW, &token).unwrap(), Some(("mike@contoso.example".into(), 7)));
        for at in 0..token.len() {
            for changed in (0u8..128).filter(|byte| *byte != token.as_bytes()[at]) {
                let mut bytes = token.clone().into_bytes();
                bytes[at] = changed;
                let refusal = setting.open(setting.tenant, "users", RAW, &String::from_utf8(bytes).unwrap()).unwrap_err();
                assert_eq!((refusal.status().as_u16(), refusal.code()), (400, ErrorCode::BadRequest), "byte {at}");
            }
            assert!(setting.open(setting.tenant, "users", RAW, &token[..at]).is_err(), "cut at {at}");
        }
        assert!(setting.open(setting.tenant, "users", RAW, &format!("{token}A")).is_err());
        assert!(
            Setting { ring: KeyRing::derived(b"x", "y"), ..Setting::new() }.open(setting.tenant, "users", RAW, &token).is_err()
        );
    }

    #[test]
    fn a_01_a_page_token_is_good_for_its_tenant_collection_and_query() {
        let setting = Setting::new();
        let token = setting.token(RAW);
        assert!(setting.open(TenantId::random(&setting.entropy), "users", RAW, &token).is_err());
        assert!(setting.open(setting.tenant, "directory/deletedItems", RAW, &token).is_err());
        for other in [
            "",
            "$filter=mail%20eq%20'b'&$select=id,mail&$orderby=mail%20desc&$top=5&$count=true",
            "$select=id,mail&$orderby=mail%20desc&$top=5&$count=true",
            "$filter=mail%20eq%20'a'&$select=id&$orderby=mail%20desc&$top=5&$count=true",
            "$filter=mail%20eq%20'a'&$select=id,mail&$orderby=mail&$top=5&$count=true",
            "$filter=mail%20eq%20'a'&$select=id,mail&$orderby=id%20desc&$top=5&$count=true",
            "$filter=mail%20eq%20'a'&$select=id,mail&$orderby=mail%20desc&$top=6&$count=true",
            "$filter=mail%20eq%20'a'&$select=id,mail&$orderby=mail%20desc&$top=5",
        ] {
            assert_eq!(setting.open(setting.tenant, "users", other, &token).unwrap_err().status().as_u16(), 400, "{other}");
        }
        // The same query in another spelling and order is the same query.
        let same = "%24top=5&$COUNT=True&$orderby=MAIL+desc&$select=id,%20mail&$filter=(Mail+EQ+'a')&x=y";
        assert!(setting.open(setting.tenant, "users", same, &token).unwrap().is_some());
    }

    #[test]
    fn a_01_a_next_link_leads_on_for_a_day() {
        let setting = Setting::new();
        let query = Query::parse("$filter=mail eq 'a''b & c#é'&$select=id", &USERS);
        assert!(query.is_err(), "an ampersand that is not encoded ends the option");
        let query = Query::parse("$filter=mail eq 'a''b %26 c%23é%2B'&$select=id", &USERS).unwrap();
        let pages = Pages { ring: &setting.ring, tenant: setting.tenant, envelope: ENVELOPE, query: &query };
        assert_eq!(pages.open::<u64>(Timestamp::UNIX_EPOCH), Ok(None), "the first page");
        let link = pages.next_link(7u64, Timestamp::UNIX_EPOCH, &setting.entropy);
        let (at, raw) = link.split_once('?').unwrap();
        assert_eq!(at, "https://guests.example/v1.0/users");
        assert!(
            raw.starts_with("$filter=mail%20eq%20%27a%27%27b%20%26%20c%23%C3%A9%2B%27&$select=id&$top=100&$skiptoken="),
            "{raw}"
        );
        let next = Query::parse(raw, &USERS).unwrap();
        let pages = Pages { query: &next, ..pages };
        let after = |seconds| pages.open::<u64>(Timestamp::from_second(seconds).unwrap());
        assert_eq!(after(86_399), Ok(Some(7)));
        assert_eq!(after(86_400).unwrap_err().code(), ErrorCode::ExpiredPageToken);
        // Followed, it leads on to the same place.
        assert_eq!(pages.query.canonical(), query.canonical());
    }
}
