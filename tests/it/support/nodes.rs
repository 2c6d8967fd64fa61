//! Several nodes on one store behind a real proxy: the demo as two nodes, for tests that know nothing of it, and
//! [`Nodes`], for those that drive, kill and cut off each by itself.

use std::{
    net::SocketAddr,
    ops::Deref,
    path::{Path, PathBuf},
    process::Output,
    sync::Mutex,
    time::{Duration, Instant},
};

use super::{
    declared::{CONTOSO, Declared, EXPENSES, FABRIKAM, guest, member, tenant},
    nginx::{Nginx, status},
    process::{
        Admin, App, DataFolder, Demo, Links, Person, Process, READY_WITHIN, Ready, SignsInWith, data_folder, run, spare_address,
        start_demo, text, vestibule,
    },
    random, redis,
    visitor::{Direct, Visitor},
    world::serve_app,
};

/// What a demo is when `VESTIBULE_TEST_NODES=2`: two nodes. The URL of their store, whose namespace is to be filled in.
pub(super) fn asked_for() -> Option<fn(&str) -> String> {
    let nodes = std::env::var_os("VESTIBULE_TEST_NODES")?;
    assert_eq!(nodes, "2", "VESTIBULE_TEST_NODES is 2 or nothing");
    Some(|namespace| redis::shared("VESTIBULE_TEST_REDIS", namespace))
}

/// Node one is the demo, node two serves what the demo wrote down; nginx has the port that everybody knows.
pub(super) fn demo(address: &str, data: DataFolder, environment: &[(&str, &str)], store: fn(&str) -> String) -> Demo {
    let told: SocketAddr = address.parse().expect("an address");
    let public = if told.port() == 0 { spare_address() } else { told };
    let addresses = [spare_address(), spare_address()];
    let proxy = Nginx::start(public, &addresses);
    // The same folder is the same store.
    let folder =
        data.path().file_name().and_then(|name| name.to_str()).expect("a name").replace(|c: char| !c.is_alphanumeric(), "");
    let (first, port, store) = (addresses[0].to_string(), public.port().to_string(), store(&folder));
    let arguments = ["--listen", &first, "--public-port", &port, "--store", &store];
    let (node, ready) = start_demo(&arguments, &data, environment);

    let config = std::fs::read_to_string(data.path().join("vestibule.toml")).expect("the demo wrote it");
    let line = |line: &str| match line {
        "data = \".\"" => "data = \"node-2\"\nkey_ring = \"key-ring\"\n".to_owned(),
        line if line.starts_with("address = ") => format!("address = \"{}\"\n", addresses[1]),
        line => format!("{line}\n"),
    };
    let file = data.path().join("node-2.toml");
    std::fs::write(&file, config.lines().map(line).collect::<String>()).expect("a file");
    let second = serve(&file, environment);
    until_ready(&second, addresses[1]);
    Demo { ready, nodes: vec![node, second], proxy: Some(proxy), data, secrets: Mutex::default() }
}

fn serve(config: &Path, environment: &[(&str, &str)]) -> Process {
    let mut command = vestibule();
    command.args(["serve", "--config", text(config)]).envs(environment.iter().copied());
    Process::spawn(command).0
}

fn until_ready(process: &Process, address: SocketAddr) {
    let deadline = Instant::now() + READY_WITHIN;
    while status(address, "/readyz") != Some(200) {
        let ended = process.wait(Duration::ZERO);
        assert!(ended.is_none() && Instant::now() < deadline, "not ready ({ended:?}):\n{}", process.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

const TOOLS: &str = "a99a99a9-0000-4000-8000-000000000006";
/// How many guests there are from the start, each with a passcode.
const GUESTS: usize = 20;

/// `vestibule serve` several times, with one key ring under one name, behind nginx; and an app with a door of its own. A
/// [`Demo`] to everything that takes one.
pub(crate) struct Nodes {
    demo: Demo,
    sites: Vec<Site>,
}

/// What one node is made of.
struct Site {
    config: PathBuf,
    address: SocketAddr,
    /// Its process among the demo's.
    process: usize,
}

impl Deref for Nodes {
    type Target = Demo;

    fn deref(&self) -> &Demo {
        &self.demo
    }
}

impl Nodes {
    /// As many nodes as there are stores, which may be wires to one and the same; ready, with guests in it.
    pub(crate) async fn start(stores: &[&str]) -> Self {
        let nodes = Self::spawn(stores).await;
        for node in 0..stores.len() {
            nodes.until_ready(node);
        }
        nodes.declare();
        nodes
    }

    /// The same without waiting for anything: the store may not be there.
    pub(crate) async fn spawn(stores: &[&str]) -> Self {
        let (data, public) = (data_folder(), spare_address());
        let addresses: Vec<_> = stores.iter().map(|_| spare_address()).collect();
        let app = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let app_url = format!("http://expenses.localhost:{}", app.local_addr().expect("an address").port());
        let base_url = format!("http://vestibule.localhost:{}", public.port());
        let (secret, password) = (random(), random());
        // Made by hand: nodes that start together on one folder would each make their own.
        write(&data, "key-ring", &format!("1:{}\n", random()), 0o600);
        write(&data, "terms.md", "# Terms\n\nBe kind.\n", 0o600);
        let sites = stores.iter().zip(&addresses).enumerate().map(|(node, (store, address))| {
            // The first node's is the one that tests of a demo expect in its folder.
            let name = if node == 0 { "vestibule.toml".to_owned() } else { format!("node-{node}.toml") };
            write(&data, &name, &configuration(&base_url, node, store, *address), 0o600);
            Site { config: data.path().join(name), address: *address, process: node }
        });
        let sites: Vec<_> = sites.collect();
        let ready = ready(&base_url, &app_url, data.path().join("mail"), &secret, &password);
        write(&data, "tenants.toml", &tenants(&ready, &app_url), 0o600);
        serve_app(app, &ready.issuer, EXPENSES, &app_url, &secret);
        let proxy = Nginx::start(public, &addresses);
        let processes = sites.iter().map(|site| serve(&site.config, &[])).collect();
        let demo = Demo { ready, nodes: processes, proxy: Some(proxy), data, secrets: Mutex::default() };
        Self { demo, sites }
    }

    /// Waits until a node says that it is ready.
    pub(crate) fn until_ready(&self, node: usize) {
        until_ready(self.process_of(node), self.sites[node].address);
    }

    /// Puts the tenants in.
    pub(crate) fn declare(&self) {
        let applied = self.command(0, &["apply", text(&self.data().join("tenants.toml"))]);
        assert!(applied.status.success(), "{applied:?}");
    }

    /// Applies `declared` (tables below the sharing tenant) through the socket of one node.
    pub(crate) fn apply_on(&self, node: usize, declared: &str) -> Output {
        let file = self.data().join(format!("apply-{}.toml", random()));
        std::fs::write(&file, format!("{}\n{declared}", tenant(CONTOSO, "Contoso", &[("contoso.example", true)])))
            .expect("a file");
        self.command(node, &["apply", text(&file)])
    }

    /// Invites people, who are members of the home organisation: as many as wanted, since nobody is mailed a code.
    pub(crate) fn invite(&self, addresses: &[String]) -> Vec<Person> {
        let guests: String = addresses.iter().map(|mail| guest(mail)).collect();
        let people: Vec<_> = addresses.iter().map(|mail| self.member(mail)).collect();
        let members: String = people.iter().map(|person| home_member(person, None)).collect();
        self.apply_at_home(&guests, &members);
        people
    }

    /// Somebody with an account at the home organisation, who has to be declared there.
    pub(crate) fn member(&self, mail: &str) -> Person {
        let password = self.person(SignsInWith::HomeOrganisation).password;
        Person { email: mail.to_owned(), signs_in_with: SignsInWith::HomeOrganisation, password }
    }

    /// Declares `guests` at the sharing organisation and `members` at the home organisation.
    pub(crate) fn apply_at_home(&self, guests: &str, members: &str) {
        let home = tenant(FABRIKAM, "Fabrikam", &[("fabrikam.example", true)]);
        let applied = self.apply_on(0, &format!("{guests}\n{home}\n{members}"));
        assert!(applied.status.success(), "{applied:?}");
    }

    /// Runs a command of the program for one node.
    pub(crate) fn command(&self, node: usize, arguments: &[&str]) -> Output {
        run(&[arguments, &["--config", text(&self.sites[node].config)]].concat())
    }

    /// The configuration of one node.
    pub(crate) fn config(&self, node: usize) -> &Path {
        &self.sites[node].config
    }

    /// Where one node listens.
    pub(crate) fn address(&self, node: usize) -> SocketAddr {
        self.sites[node].address
    }

    /// What one node answers to a GET of `path`, if anything.
    pub(crate) fn status(&self, node: usize, path: &str) -> Option<u16> {
        status(self.sites[node].address, path)
    }

    /// The process of one node.
    pub(crate) fn process_of(&self, node: usize) -> &Process {
        &self.demo.nodes[self.sites[node].process]
    }

    /// Starts a node again that has ended; what both processes logged is looked at in the end.
    pub(crate) fn start_again(&mut self, node: usize) {
        let process = serve(&self.sites[node].config, &[]);
        self.demo.nodes.push(process);
        self.sites[node].process = self.demo.nodes.len() - 1;
    }

    /// Makes `visitor` ask these nodes in turn, past the proxy.
    pub(crate) fn steer(&self, visitor: &mut Visitor, nodes: &[usize]) {
        visitor.direct = Some(Direct::to(nodes.iter().map(|node| self.sites[*node].address).collect()));
    }

    /// A fresh browser that asks these nodes in turn.
    pub(crate) fn visitor(&self, nodes: &[usize]) -> Visitor {
        let mut visitor = Visitor::new(self);
        self.steer(&mut visitor, nodes);
        visitor
    }

    /// The guest with this number, who signs in with a passcode.
    pub(crate) fn guest(&self, number: usize) -> Person {
        self.people_who(SignsInWith::OneTimePasscode).nth(number).expect("there are that many")
    }
}

fn write(data: &DataFolder, name: &str, text: &str, mode: u32) {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let path = data.path().join(name);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path).expect("a new file");
    file.write_all(text.as_bytes()).expect("written");
}

fn configuration(base_url: &str, node: usize, store: &str, address: SocketAddr) -> String {
    let public = base_url.trim_start_matches("http://");
    format!(
        "public_url = \"{base_url}\"\ndata = \"node-{node}\"\nkey_ring = \"key-ring\"\ndrain_seconds = 10\nproxies = [\"127.0.0.1\"]\n\n\
         [store]\nurl = \"{store}\"\n\n[[listen]]\naddress = \"{address}\"\n\n\
         [mail]\nfrom_name = \"Vestibule\"\nfrom = \"guests@contoso.example\"\nfolder = \"mail\"\n\n\
         [outbound]\nallow = [\"{public}\"]\n"
    )
}

/// A member of the home organisation, as it is declared; by an id where the address changes hands.
pub(crate) fn home_member(person: &Person, id: Option<&str>) -> String {
    let id = id.map_or_else(String::new, |id| format!("id = \"{id}\"\n"));
    member(&person.email, person.password.as_deref().expect("a password")) + id.as_str()
}

/// What a demo would have printed.
fn ready(base_url: &str, app_url: &str, mail_dir: PathBuf, secret: &str, password: &str) -> Ready {
    let person = |email: String, password: Option<&str>| Person {
        email,
        signs_in_with: if password.is_some() { SignsInWith::HomeOrganisation } else { SignsInWith::OneTimePasscode },
        password: password.map(str::to_owned),
    };
    let guests = (0..GUESTS).map(|number| person(format!("guest-{number}@elsewhere.example"), None));
    let link = format!("{base_url}/contoso.example/signin/expenses/{EXPENSES}");
    Ready {
        issuer: format!("{base_url}/{CONTOSO}/v2.0"),
        tenant_id: CONTOSO.to_owned(),
        verified_domain: "contoso.example".to_owned(),
        mail_dir,
        links: Links {
            panel_by_id: format!("{base_url}/?tenantid={CONTOSO}"),
            panel_by_domain: format!("{base_url}/contoso.example"),
            app: link.clone(),
            app_by_domain: link,
            common: format!("{base_url}/signin/expenses/{EXPENSES}"),
        },
        app: App {
            url: format!("{app_url}/"),
            client_id: EXPENSES.to_owned(),
            client_secret: secret.to_owned(),
            redirect_uri: format!("{app_url}/.vestibule/callback"),
        },
        people: std::iter::once(person("robin@fabrikam.example".to_owned(), Some(password))).chain(guests).collect(),
        invitation: None,
        admin: Admin { client_id: TOOLS.to_owned(), client_secret: random() },
        base_url: base_url.to_owned(),
    }
}

/// The sharing organisation, and the home organisation of the first guest.
fn tenants(ready: &Ready, app_url: &str) -> String {
    let Ready { base_url, app, admin, people, .. } = ready;
    let (app_secret, trust_secret) = (&app.client_secret, &random());
    let declared = Declared { contoso: base_url, fabrikam: base_url, app: app_url, app_secret, trust_secret };
    let tools = format!(
        "[[tenant.app]]\nid = \"{TOOLS}\"\ndisplay_name = \"Directory tools\"\nclient_secret = \"{}\"\n\
         permissions = [\"User.Read.All\"]\n",
        admin.client_secret
    );
    let guests = people.iter().map(|person| guest(&person.email)).collect();
    [declared.contoso(""), tools, guests, declared.fabrikam(), home_member(&people[0], None)].concat()
}
