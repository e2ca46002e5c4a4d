//! Where a request goes, by its decoded path alone. Read this first.
//! Knows nothing of methods, files or sockets.

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// `/health`: this process is alive.
    Health,
    /// `/health/ready`: everything up to the database works.
    Ready,
    /// Under `/health` but nothing there, or no path at all.
    Nowhere,
    /// `/api` and below: the backend.
    Api,
    /// Everything else: the console.
    Console,
}

impl Route {
    /// In the order of the metrics.
    pub const ALL: [Self; 5] = [Self::Health, Self::Ready, Self::Nowhere, Self::Api, Self::Console];

    /// The route of a path that may not be decodable; then nobody answers it.
    #[must_use]
    pub fn of_decoded(path: Option<&str>) -> Self {
        path.map_or(Self::Nowhere, Self::of)
    }

    /// Whether it asks only how this process is; never limited, so that probes of a busy
    /// server are answered.
    #[must_use]
    pub fn is_probe(self) -> bool {
        matches!(self, Self::Health | Self::Ready)
    }

    /// The route of a decoded path (see `http::path::decode`).
    #[must_use]
    pub fn of(path: &str) -> Self {
        match path {
            "/health" => Self::Health,
            "/health/ready" | "/health/detailed" => Self::Ready,
            _ if is_below(path, "/health") => Self::Nowhere,
            _ if is_below(path, "/api") => Self::Api,
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
