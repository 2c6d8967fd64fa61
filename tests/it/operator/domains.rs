//! `domain`: a claim, its record, its verification, and the loss of it, with the real program and a name server.

use vestibule::{
    domain::tenant::Tenant,
    store::{
        Batch, Partition,
        embedded::EmbeddedStore,
        records::{self, Store},
    },
};

use super::*;
use crate::support::{
    dns::{Answer, NameServer},
    soon,
};

const LABS: &str = "contoso-labs.example";

impl Site {
    /// One whose server asks this name server, and whose tenant has claimed a second domain.
    fn with_names(server: &NameServer) -> Self {
        let site = Self::new();
        let dns = format!("[dns]\nservers = [\"{}\"]\n", server.address);
        site.write("vestibule.toml", &format!("{}{dns}", site.configuration("")));
        let claim = format!("verified = true }}, {{ name = \"{LABS}\", verified = false }}]");
        site.write("tenants.toml", &site.tenants("").replace("verified = true }]", &claim));
        site
    }

    fn domain(&self, arguments: &[&str]) -> Output {
        self.command(&[&["domain"], arguments].concat())
    }

    /// The status of the panel by a link with the domain.
    async fn link(&self, domain: &str) -> (u16, String) {
        let answer = client().get(self.url(&format!("/{domain}"))).send().await.expect("sent");
        (answer.status().as_u16(), answer.text().await.expect("a page"))
    }
}

// Commands are waited for on a thread of their own, so that the name server can answer them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t_11_a_domain_is_claimed_verified_and_lost() {
    let server = NameServer::start().await;
    let site = Site::with_names(&server);
    let process = site.serve().await;
    let report = site.apply();
    let record = &report["to_publish"][0]["record"];
    assert_eq!(record["name"], format!("_vestibule-challenge.{LABS}"), "{report}");
    let value = record["value"].as_str().expect("a value").to_owned();
    assert!(soon(async || site.link("contoso.example").await.0 < 400).await);
    let (status, page) = site.link(LABS).await;
    assert!(status == 403 && page.contains("1003"), "{status}: {page}");

    let shown = done(&site.domain(&["show", "contoso.example", LABS]));
    assert!(shown.contains(&format!("_vestibule-challenge.{LABS}. TXT \"{value}\"")), "{shown}");
    let refused = failed(&site.domain(&["verify", TENANT, LABS]));
    assert!(refused.contains("there is no TXT record") && refused.contains(&value), "{refused}");
    server.answer(&format!("_vestibule-challenge.{LABS}"), Answer::Code(2));
    assert!(failed(&site.domain(&["verify", TENANT, LABS])).contains("could not be looked up"));

    server.answer(&format!("_vestibule-challenge.{LABS}"), Answer::text(&value));
    assert!(done(&site.domain(&["verify", TENANT, LABS])).contains("DNS"));
    assert!(soon(async || site.link(LABS).await.0 < 400).await, "{:?}", site.link(LABS).await);
    assert_eq!(site.apply()["changes"], Value::Array(Vec::new()), "the file takes nothing away");
    let listed: Value = serde_json::from_str(&done(&site.domain(&["list", LABS, "--json"]))).expect("JSON");
    assert_eq!((&listed[0]["by"], &listed[1]["by"]), (&"operator".into(), &"dns".into()), "{listed}");
    assert!(done(&site.domain(&["list", LABS])).lines().any(|line| line.starts_with(LABS) && line.contains("DNS")));

    server.answer(&format!("_vestibule-challenge.{LABS}"), Answer::Nothing);
    assert!(failed(&site.domain(&["verify", TENANT, LABS])).contains("the domain is verified until"));
    assert!(site.link(LABS).await.0 < 400, "for three days");
    process.signal("TERM");
    process.wait(SOON);
    // Three days later.
    {
        let store = EmbeddedStore::open(&site.path("data/vestibule.redb"), std::sync::Arc::new(vestibule::clock::SystemClock));
        let store = Store::new(std::sync::Arc::new(store.expect("a store")));
        let key = records::tenant(TENANT.parse().expect("an id"));
        let mut tenant: Tenant = store.get(&key).await.expect("read").expect("a tenant").value;
        let proof = tenant.domains[1].dns.as_mut().expect("verified by DNS");
        proof.missing_since = proof.missing_since.map(|since| since - jiff::SignedDuration::from_hours(72));
        store.commit(Batch::new(Partition::Tenant(tenant.id)).put(&key, &tenant)).await.expect("written");
    }
    let process = site.serve().await;
    assert!(site.link(LABS).await.0 < 400, "until somebody has looked");
    assert!(!failed(&site.domain(&["verify", TENANT, LABS])).contains("the domain is verified until"));
    assert!(soon(async || site.link(LABS).await.0 == 403).await);
    assert!(process.log().contains("no longer verified"), "{}", process.log());
    let log = done(&site.command(&["audit", "list", TENANT]));
    assert!(log.contains(&format!("domainVerified  domain: {LABS}")), "{log}");
    assert!(log.contains(&format!("domainUnverified  domain: {LABS}")), "{log}");
    assert!(done(&site.command(&["audit", "verify"])).contains("unchanged"));
}

/// T-11: a domain is one tenant's, with and without a running server, in every spelling.
// Commands are waited for on a thread of their own, so that the name server can answer them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t_11_a_domain_of_one_tenant_is_refused_to_another() {
    let server = NameServer::start().await;
    let site = Site::with_names(&server);
    site.apply();
    let process = site.serve().await;
    for spelling in [LABS.to_owned(), LABS.to_ascii_uppercase(), format!("{LABS}.")] {
        let other = format!("[[tenant]]\ndisplay_name = \"Others\"\ndomains = [{{ name = \"{spelling}\", verified = true }}]\n");
        site.write("other.toml", &other);
        let refused = failed(&site.command(&["apply", text(&site.path("other.toml"))]));
        assert!(refused.contains("belongs to another tenant"), "{refused}");
    }
    for look_alike in ["ｃontoso-labs.example", "contoso-labs。example", "contoso\u{ad}-labs.example", "contoso-labs.example.."]
    {
        let other =
            format!("[[tenant]]\ndisplay_name = \"Others\"\ndomains = [{{ name = \"{look_alike}\", verified = true }}]\n");
        site.write("other.toml", &other);
        let refused = failed(&site.command(&["apply", text(&site.path("other.toml"))]));
        assert!(refused.contains("not a domain name"), "{refused}");
    }
    assert!(failed(&site.domain(&["verify", TENANT, "fabrikam.example"])).contains("has not claimed"));
    drop(process);
}
