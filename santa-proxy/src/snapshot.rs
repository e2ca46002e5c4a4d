//! Settings and content, as one value that a reload replaces: a request sees either all of
//! the old or all of the new.

use std::time::Duration;

use anyhow::{Result, ensure};
use santa_config::{Address, Cidr, Config, ProxyLimits, ProxyTimeouts};

use crate::assets::Site;
use crate::http::field::MOST_FIELDS;
use crate::http::request::HeadLimits;
use crate::tls::Tls;
use crate::upstream::membership::{Supervised, supervised};

/// Settings and content as of one load.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// Limits of request heads.
    pub(crate) head: HeadLimits,
    /// All limits.
    pub(crate) limits: ProxyLimits,
    /// How long each phase may take.
    pub(crate) timeouts: ProxyTimeouts,
    /// Networks of trusted proxies.
    pub(crate) trusted: Vec<Cidr>,
    /// Whether connections of trusted proxies begin with a PROXY protocol header.
    pub(crate) proxy_protocol: bool,
    /// The addresses of the backend's instances.
    pub(crate) api: Vec<Address>,
    /// Which of them santa-supervise runs, if there are several.
    pub(crate) supervised: Vec<Supervised>,
    /// A development server for the console.
    pub(crate) console: Option<Address>,
    /// The console's files, when there is no development server.
    pub(crate) site: Option<Site>,
    /// TLS settings, if it is turned on.
    pub(crate) tls: Option<Tls>,
    /// Whether requests are logged.
    pub(crate) access_log: bool,
    /// Paths whose requests are not.
    pub(crate) unlogged: Vec<String>,
}

impl Snapshot {
    /// Takes the settings from the configuration and reads the console.
    ///
    /// # Errors
    /// When the console cannot be read, or a limit is out of range.
    pub(crate) fn load(config: &Config) -> Result<Self> {
        let proxy = &config.proxy;
        let console = proxy.console.upstream.map(Address::Tcp);
        let site = match console {
            Some(_) => None,
            None => Some(Site::load(&config.paths.www, proxy.limits.console_size)?),
        };
        let fields = usize::try_from(proxy.limits.header_count).unwrap_or(usize::MAX);
        ensure!(
            fields <= MOST_FIELDS,
            "proxy.limits.header_count is {fields}; at most {MOST_FIELDS} fields are ever read"
        );
        Ok(Self {
            head: HeadLimits {
                head: proxy.limits.head_size.bytes(),
                target: proxy.limits.target_size.bytes(),
                fields,
            },
            limits: proxy.limits.clone(),
            timeouts: bounded(&proxy.timeouts),
            trusted: proxy.trusted_proxies.clone(),
            proxy_protocol: proxy.proxy_protocol,
            api: config.upstreams(),
            supervised: supervised(config),
            console,
            site,
            tls: Tls::load(&proxy.tls)?,
            access_log: proxy.access.log,
            unlogged: proxy.access.skip.clone(),
        })
    }

    /// Whether a request of this decoded path is logged.
    pub(crate) fn logs(&self, path: &str) -> bool {
        self.access_log && !self.unlogged.iter().any(|unlogged| unlogged == path)
    }

    /// The `Strict-Transport-Security` line for a client that uses TLS.
    pub(crate) fn hsts(&self, secure: bool) -> &[u8] {
        self.tls.as_ref().filter(|_| secure).map_or(&[], |tls| &tls.hsts)
    }

    /// Whether the peer at `address` is a trusted proxy.
    pub(crate) fn trusts(&self, address: std::net::IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }
}

/// The same times, none longer than a year: moments beyond the end of the
/// clock cannot be computed.
fn bounded(timeouts: &ProxyTimeouts) -> ProxyTimeouts {
    const YEAR: Duration = Duration::from_secs(365 * 86_400);
    ProxyTimeouts {
        head: timeouts.head.min(YEAR),
        body: timeouts.body.min(YEAR),
        body_grace: timeouts.body_grace.min(YEAR),
        body_total: timeouts.body_total.min(YEAR),
        idle: timeouts.idle.min(YEAR),
        connect: timeouts.connect.min(YEAR),
        queue: timeouts.queue.min(YEAR),
        response: timeouts.response.min(YEAR),
        ready: timeouts.ready.min(YEAR),
        tunnel_idle: timeouts.tunnel_idle.min(YEAR),
        drain: timeouts.drain.min(YEAR),
        linger: timeouts.linger.min(timeouts.drain).min(YEAR),
    }
}
