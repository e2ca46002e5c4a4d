//! Which part responds to a request, by its decoded path alone. Read this first.
//! The only file that knows paths; it knows nothing of methods, files or sockets.

/// Which part responds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// `/health`: this process is alive.
    Health,
    /// `/health/ready`: everything up to the database works.
    Ready,
    /// Below `/health` but not found, or a malformed path.
    Nowhere,
    /// `/api` and `/scim`, and below: the backend.
    Api,
    /// Everything else: the console.
    Console,
}

impl Route {
    /// In the order of the metrics.
    pub const ALL: [Self; 5] = [Self::Health, Self::Ready, Self::Nowhere, Self::Api, Self::Console];

    /// The route of a path that may be malformed.
    #[must_use]
    pub fn of_decoded(path: Option<&str>) -> Self {
        path.map_or(Self::Nowhere, Self::of)
    }

    /// Whether it is a health check; never limited, so that those of a busy server get a
    /// response.
    #[must_use]
    pub fn is_probe(self) -> bool {
        matches!(self, Self::Health | Self::Ready)
    }

    /// Whether it is the API, whose errors are problem details (RFC 9457).
    #[must_use]
    pub fn is_api(self) -> bool {
        self == Self::Api
    }

    /// The route of a decoded path (see `http::path::decode`).
    #[must_use]
    pub fn of(path: &str) -> Self {
        match path {
            "/health" => Self::Health,
            "/health/ready" | "/health/detailed" => Self::Ready,
            _ if is_below(path, "/health") => Self::Nowhere,
            _ if is_below(path, "/api") || is_below(path, "/scim") => Self::Api,
            _ => Self::Console,
        }
    }

    /// The name in the metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Ready => "ready",
            Self::Nowhere => "none",
            Self::Api => "api",
            Self::Console => "console",
        }
    }
}

/// Whether a decoded path of the API is one that Macs sync with.
#[must_use]
pub fn is_sync(path: &str) -> bool {
    path.starts_with("/api/santa/")
}

fn is_below(path: &str, root: &str) -> bool {
    path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_where_the_contract_says() {
        let cases = [
            ("/health", Route::Health),
            ("/health/ready", Route::Ready),
            ("/health/detailed", Route::Ready),
            ("/health/", Route::Nowhere),
            ("/health/x", Route::Nowhere),
            ("/healthy", Route::Console),
            ("/api", Route::Api),
            ("/api/", Route::Api),
            ("/api/v1/live", Route::Api),
            ("/scim", Route::Api),
            ("/scim/v2/Users", Route::Api),
            ("/scimitar", Route::Console),
            ("/SCIM/v2/Users", Route::Console),
            ("/apis", Route::Console),
            ("/API", Route::Console),
            ("//api", Route::Console),
            ("/", Route::Console),
            ("/metrics", Route::Console),
            ("/machines/1", Route::Console),
        ];
        for (path, route) in cases {
            assert_eq!(Route::of(path), route, "{path}");
        }
    }
}
