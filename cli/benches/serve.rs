//! How much `trefoil serve` takes and how soon Customer.io knows. `cargo bench -p trefoil --bench serve`, about a minute.
//!
//! Everything shares the machine: the server, the clients that play Intercom, and the stand-in that plays Customer.io and
//! answers at once. So the numbers are what is left for the server, not what it could do alone.

#![expect(clippy::print_stdout, reason = "a bench reports to the terminal")]
#![expect(clippy::expect_used, reason = "the stand-ins are ours")]

use futures::StreamExt as _;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use trefoil::serve::{Node, block_on, embedded};
use trefoil_domain::ports::{Clock as _, QueueName};
use trefoil_domain::time::Span;
use trefoil_platform::clock::SystemClock;
use trefoil_platform::settings::Environment;
use trefoil_standins::Clock;
use trefoil_standins::customerio::{self, CustomerIo, Identifier};
use trefoil_standins::intercom::{self, Author, Intercom, NewContact, Priority, Webhook};
use trefoil_standins::journal::Keep;

const PEOPLE: usize = 2_000;
/// Connections that Intercom has open.
const CONNECTIONS: usize = 64;
/// Webhooks a second while latency is measured.
const STEADY: u32 = 500;

struct Person {
    profile: String,
    ticket: String,
}

struct Bench {
    clock: Clock,
    intercom: Intercom,
    customerio: CustomerIo,
    node: Node,
    url: String,
    _data: tempfile::TempDir,
}

fn main() {
    block_on(async {
        let bench = Bench::start().await?;
        let (people, webhooks) = bench.history();
        bench.throughput(&webhooks).await;
        bench.latency(&people).await;
        bench.node.stop(Duration::from_secs(5)).await;
        Ok(())
    })
    .expect("the server starts");
}

impl Bench {
    async fn start() -> Result<Self, String> {
        let clock = Clock::manual(SystemClock.now().minus(Span::from_days(2)).secs());
        let options = intercom::Options { clock: clock.clone(), keep: Keep::Counters, requests_per_window: u32::MAX, ..Default::default() };
        let intercom = Intercom::start(options).await.map_err(|e| e.to_string())?;
        let options = customerio::Options { keep: Keep::Counters, ..Default::default() };
        let customerio = CustomerIo::start(options).await.map_err(|e| e.to_string())?;
        let variables = [
            ("TREFOIL_INTERCOM_CLIENT_SECRET", intercom.options().client_secret.clone()),
            ("TREFOIL_INTERCOM_TOKEN", intercom.options().access_token.clone()),
            ("TREFOIL_INTERCOM_URL", intercom.url()),
            ("TREFOIL_INTERCOM_RATE", "1000000".to_owned()),
            ("TREFOIL_CUSTOMERIO_SITE_ID", customerio.options().site_id.clone()),
            ("TREFOIL_CUSTOMERIO_API_KEY", customerio.options().track_api_key.clone()),
            ("TREFOIL_CUSTOMERIO_APP_API_KEY", customerio.options().app_api_key.clone()),
            ("TREFOIL_CUSTOMERIO_URL", customerio.track_url()),
            ("TREFOIL_CUSTOMERIO_APP_URL", customerio.app_url()),
            ("TREFOIL_CUSTOMERIO_RATE", "100000".to_owned()),
            ("TREFOIL_CUSTOMERIO_APP_RATE", "100000".to_owned()),
        ];
        let environment = Environment::new(move |name| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| value.clone()));
        let settings = environment.serve().map_err(|e| e.to_string())?;
        let data = tempfile::tempdir().map_err(|e| e.to_string())?;
        let (config, routes) = embedded()?;
        let node = Node::start(settings, config, routes, data.path(), SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let url = format!("http://{}/webhooks/intercom", node.address);
        Ok(Self { clock, intercom, customerio, node, url, _data: data })
    }

    /// Ten webhooks of each person, everybody's first ones first; in the end everybody has one open ticket.
    fn history(&self) -> (Vec<Person>, Vec<Webhook>) {
        let Self { clock, intercom, customerio, .. } = self;
        let mut people = Vec::with_capacity(PEOPLE);
        let mut rounds: [Vec<Webhook>; 10] = std::array::from_fn(|_| Vec::with_capacity(PEOPLE));
        for number in 0..PEOPLE {
            let (id, email) = (format!("user-{number}"), format!("person{number}@example.com"));
            let profile = customerio.add_profile(Some(&id), Some(&email), &[]);
            let (contact, created) =
                intercom.create_contact(NewContact { external_id: Some(id), email: Some(email), ..NewContact::default() });
            let tick = || clock.advance(Duration::from_secs(20));
            let (ticket, opened) = intercom.open_conversation(&contact, Priority::Medium).expect("the contact exists");
            let mut webhooks = vec![created, opened];
            let one = |webhook: Result<Webhook, _>| {
                tick();
                vec![webhook.expect("the ticket exists")]
            };
            webhooks.extend(intercom.reply(&ticket, Author::Admin, "On it.").expect("the ticket exists"));
            webhooks.extend(one(intercom.set_priority(&ticket, Priority::High)));
            webhooks.extend(one(intercom.tag(&ticket, "billing")));
            webhooks.extend(one(intercom.close(&ticket, Author::Admin)));
            webhooks.extend(one(intercom.rate(&ticket, 4, None)));
            webhooks.extend(one(intercom.reopen(&ticket)));
            webhooks.extend(one(intercom.snooze(&ticket, clock.now() + 3600)));
            webhooks.extend(one(intercom.unsnooze(&ticket)));
            assert_eq!(webhooks.len(), rounds.len());
            for (round, webhook) in rounds.iter_mut().zip(webhooks) {
                round.push(webhook);
            }
            people.push(Person { profile, ticket });
        }
        (people, rounds.into_iter().flatten().collect())
    }

    async fn throughput(&self, webhooks: &[Webhook]) {
        let (start, before) = (Instant::now(), cpu());
        let send = async |webhook: &Webhook| assert_eq!(self.intercom.send(&self.url, webhook).await.expect("an answer"), 200);
        futures::stream::iter(webhooks).map(send).buffer_unordered(CONNECTIONS).for_each(async |()| {}).await;
        let ingested = start.elapsed();
        self.quiet().await;
        let done = start.elapsed();
        let per_second = |took: Duration| webhooks.len() as f64 / took.as_secs_f64();
        println!("{} webhooks of {PEOPLE} people, {CONNECTIONS} connections, as fast as they go", webhooks.len());
        println!("  ingested (durable, answered)   {:>8.0} a second ({ingested:.2?})", per_second(ingested));
        println!("  end to end (all queues empty)  {:>8.0} a second ({done:.2?})", per_second(done));
        // Says more than the times above on a machine that has other work too.
        for (threads, seconds) in cpu() {
            let spent = seconds - before.get(&threads).copied().unwrap_or(0.0);
            println!("  CPU of {threads:<20} {:>8.0} µs a webhook", spent * 1e6 / webhooks.len() as f64);
        }
        let journal = self.customerio.journal();
        for (route, counter) in journal.counters() {
            println!("  Customer.io {route:<30} {:>6} calls, {} refused", counter.total(), counter.refused);
        }
        for (route, counter) in self.intercom.journal().counters() {
            println!("  Intercom    {route:<30} {:>6} calls, {} refused", counter.total(), counter.refused);
        }
        println!("  events at Customer.io: {:?}, repeated {}", self.customerio.event_counts(), self.customerio.duplicate_events());
    }

    /// Everybody's ticket is closed, then opened again: how soon does their profile say so?
    async fn latency(&self, people: &[Person]) {
        // Since when, whose profile, and what `has_open_ticket` is to become.
        let mut waiting: Vec<(Instant, String, &'static str)> = Vec::new();
        let mut took: Vec<Duration> = Vec::with_capacity(2 * people.len());
        let mut sent = 0_u32;
        let start = Instant::now();
        let mut turns = tokio::time::interval(Duration::from_secs(1) / STEADY);
        let mut looks = tokio::time::interval(Duration::from_millis(1));
        let mut sending = futures::stream::FuturesUnordered::new();
        let total = 2 * people.len();
        while took.len() < total {
            tokio::select! {
                _ = turns.tick(), if (sent as usize) < total => {
                    let person = &people[sent as usize % people.len()];
                    self.clock.advance(Duration::from_secs(1));
                    let (webhook, expected) = if (sent as usize) < people.len() {
                        (self.intercom.close(&person.ticket, Author::Admin), "false")
                    } else {
                        (self.intercom.reopen(&person.ticket), "true")
                    };
                    let webhook = webhook.expect("the ticket exists");
                    waiting.push((Instant::now(), person.profile.clone(), expected));
                    sending.push(async move { self.intercom.send(&self.url, &webhook).await.expect("an answer") });
                    sent += 1;
                }
                Some(status) = sending.next() => assert_eq!(status, 200),
                _ = looks.tick() => {
                    waiting.retain(|(since, profile, expected)| {
                        let profile = self.customerio.profile(&Identifier::CioId(profile.clone()));
                        let there = profile.and_then(|p| p.text("has_open_ticket")).as_deref() == Some(*expected);
                        if there {
                            took.push(since.elapsed());
                        }
                        !there
                    });
                }
            }
            assert!(start.elapsed() < Duration::from_secs(120), "{} of {total} arrived", took.len());
        }
        took.sort_unstable();
        let percentile = |p: usize| took[(took.len() * p / 100).min(took.len() - 1)];
        println!("{total} changes of state at {STEADY} a second, from the webhook to the profile");
        println!("  p50 {:.1?}  p95 {:.1?}  p99 {:.1?}  most {:.1?}", percentile(50), percentile(95), percentile(99), percentile(100));
    }

    async fn quiet(&self) {
        loop {
            let depths = self.node.queue.depths(SystemClock.now()).await.expect("the file can be read");
            if depths.iter().all(|(name, depth)| *name == QueueName::Parked || depth.visible + depth.in_flight == 0) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Seconds of CPU that threads of each name have used, clients and stand-ins among them; nothing where there is no `/proc`.
fn cpu() -> BTreeMap<String, f64> {
    let mut spent = BTreeMap::new();
    for task in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let Ok(stat) = std::fs::read_to_string(task.path().join("stat")) else { continue };
        let Some((name, fields)) = stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')')) else { continue };
        // `man proc`: fields 14 and 15, in hundredths of a second; the first one here is field 3.
        let ticks: f64 = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
        *spent.entry(name.to_owned()).or_default() += ticks / 100.0;
    }
    spent
}
