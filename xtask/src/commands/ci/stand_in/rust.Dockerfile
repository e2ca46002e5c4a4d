# Stands in for docker.io/library/rust:1-trixie: Debian with a C compiler, and this
# machine's Rust and certificates. Package clients look for those at other places.
FROM localhost/debian
COPY --from=rust bin /usr/local/bin
COPY --from=rust lib /usr/local/lib
COPY cargo.toml /usr/local/cargo/config.toml
COPY --from=certificates ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
ENV CARGO_HOME=/usr/local/cargo \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
    NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
