//! Lists of the directory API over many users: what is read for one page is bounded, and nobody is left out.

use std::collections::BTreeSet;

use axum::{
    Router,
    body::{Body, Bytes},
};
use http::{Request, header};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::browser::Site;
use crate::{
    domain::{
        UserId,
        user::{ExternalUserState, User, UserType},
    },
    flows::apply::tests::tenant,
    http::graph::DirectoryApi,
    store::{Batch, Partition, records},
};

const MANY: u32 = 12_000;

/// A site with many guests, and a program that may read them.
struct Scene {
    site: Site,
    directory: DirectoryApi,
    router: Router,
    token: String,
}

impl Scene {
    async fn new() -> Self {
        let mut site = Site::cold().await;
        let foundation = site.house.foundation.clone();
        let app = records::app(tenant(), site.app);
        let mut program = foundation.store.get(&app).await.unwrap().unwrap().value;
        program.permissions = vec!["User.Read.All".into()];
        foundation.store.commit(Batch::new(Partition::Tenant(tenant())).put(&app, &program)).await.unwrap();
        let template = foundation.store.list(&records::users(tenant())).await.unwrap();
        let template = template.into_iter().find(|user| user.value.user_type == UserType::Guest).unwrap().value;
        for start in (0..MANY).step_by(500) {
            let batch = (start..start + 500).fold(Batch::new(Partition::Tenant(tenant())), |batch, n| {
                let user = guest(&template, n, UserId::random(&*foundation.entropy));
                batch.put(&records::user(tenant(), user.id), &user)
            });
            foundation.store.commit(batch).await.unwrap();
        }
        let scope = [("grant_type", "client_credentials"), ("scope", "https://vestibule.example/.default")];
        let token = site.token(&scope).await.json()["access_token"].as_str().unwrap().to_owned();
        let directory = DirectoryApi::new(&site.vestibule);
        let router = crate::http::router(&directory);
        Self { site, directory, router, token }
    }

    /// The answer to a request, as its status and body.
    async fn get(&self, link: &str) -> (u16, Value) {
        let path = link.strip_prefix("https://vestibule.example").unwrap_or(link);
        let request = Request::get(path).header(header::HOST, "vestibule.example");
        let request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.token)).body(Body::empty()).unwrap();
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        (parts.status.as_u16(), serde_json::from_slice(&body).unwrap())
    }

    /// The status of the answer to the operator.
    async fn get_as_operator(&self, path: &str) -> u16 {
        let request = Request::get(path).body(Bytes::new()).unwrap();
        self.directory.serve_operator(tenant(), request).await.status().as_u16()
    }

    /// All pages: how many entities each has, and the ids of all.
    async fn walk(&self, path: &str, reads: usize) -> (Vec<usize>, Vec<String>) {
        let (mut sizes, mut ids, mut next) = (Vec::new(), Vec::new(), Some(path.to_owned()));
        while let Some(link) = next {
            self.site.store.take();
            let (status, page) = self.get(&link).await;
            assert_eq!(status, 200, "{page}");
            let scans = self.site.store.take().into_iter().filter(|call| call.starts_with("scan [20]")).count();
            assert!(scans <= reads, "{link}: {scans} reads");
            let users = page["value"].as_array().unwrap();
            sizes.push(users.len());
            ids.extend(users.iter().map(|user| user["id"].as_str().unwrap().to_owned()));
            next = page["@odata.nextLink"].as_str().map(str::to_owned);
        }
        (sizes, ids)
    }
}

/// One in six thousand is still to come.
fn guest(template: &User, n: u32, id: UserId) -> User {
    let accepted = ExternalUserState::Accepted {
        since: template.created,
        identity: crate::domain::user::Identity { issuer: "https://login.fabrikam.example".into(), subject: n.to_string() },
        source: crate::domain::tenant::IdentitySource::HomeOrganisation,
        permissions_accepted: template.created,
        mailbox: None,
    };
    let pending = ExternalUserState::PendingAcceptance { since: template.created, revoked: false };
    User {
        id,
        // Several have one name, so that order alone does not tell them apart.
        display_name: format!("Guest {:04}", n / 5),
        mail: format!("guest{n}@many.example").parse().ok(),
        external: Some(if n.is_multiple_of(6_000) { pending } else { accepted }),
        ..template.clone()
    }
}

#[tokio::test]
async fn a_page_of_few_among_many_is_short_and_leads_on() {
    let scene = Scene::new().await;
    let rare = "/v1.0/users?$filter=externalUserState%20eq%20'PendingAcceptance'&$top=100&$select=id";
    // 5,000 users in pieces of 500.
    let (sizes, ids) = scene.walk(rare, 10).await;
    let distinct: BTreeSet<_> = ids.iter().collect();
    assert_eq!((ids.len(), distinct.len()), (3, 3), "two of many, and the one of the sample: {sizes:?}");
    assert!(sizes.len() >= 3, "at most 5,000 are looked at for a page: {sizes:?}");
    let (sizes, ids) = scene.walk("/v1.0/users?$top=999&$select=id", 1).await;
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    assert_eq!(ids.len(), usize::try_from(MANY).unwrap() + 2);
    assert!(sizes[..sizes.len() - 1].iter().all(|size| *size == 999), "{sizes:?}");
    let (_, nobody) = scene.walk("/v1.0/users?$filter=mail%20eq%20'nobody@many.example'", 0).await;
    assert!(nobody.is_empty(), "what an index knows is not looked for");
}

#[tokio::test]
async fn an_order_goes_through_all_and_each_is_met_once() {
    let scene = Scene::new().await;
    let path = "/v1.0/users?$orderby=displayName%20desc&$filter=startswith(displayName,'Guest')&$top=999&$select=id,displayName";
    let (sizes, ids) = scene.walk(path, 25).await;
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), usize::try_from(MANY).unwrap());
    assert_eq!((ids.len(), sizes.len()), (12_000, 13));
    let first = scene.get(path).await.1;
    let names: Vec<_> = first["value"].as_array().unwrap().iter().map(|user| user["displayName"].as_str().unwrap()).collect();
    assert!(names.is_sorted_by(|a, b| a >= b), "{names:?}");
    let (status, counted) = scene.get("/v1.0/users?$count=true&$top=1&$select=id").await;
    assert_eq!((status, &counted["@odata.count"]), (200, &json!(12_002)));
}

/// Reading a whole directory is dear: an app does so four times at once in a tenant, and is told then when to come again.
/// Others are not kept from it.
#[tokio::test]
async fn an_app_walks_four_times_at_once_and_keeps_nobody_else_from_it() {
    let scene = Scene::new().await;
    let counting = "/v1.0/users?$count=true&$top=1";
    let five = futures_util::future::join_all((0..5).map(|_| scene.get(counting)));
    let (five, operator, cheap) = tokio::join!(five, scene.get_as_operator(counting), scene.get("/v1.0/users?$top=1"));
    let mut statuses: Vec<_> = five.iter().map(|answer| answer.0).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 200, 429]);
    assert!(operator == 200 && cheap.0 == 200, "{operator} {}", cheap.1);
    assert_eq!(scene.get(counting).await.0, 200, "and then it is free again");
}
