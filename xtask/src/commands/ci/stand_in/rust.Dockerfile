# Stands in for docker.io/library/rust:1-trixie: Debian with a C compiler, and this
# machine's Rust and certificates. Package clients look for those at other places.
# What the programs do is tested elsewhere: here they are compiled quickly.
FROM localhost/debian
COPY --from=rust bin /usr/local/bin
COPY --from=rust lib /usr/local/lib
COPY --from=certificates ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
ENV CARGO_HOME=/usr/local/cargo \
    CARGO_INCREMENTAL=0 \
    CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
    CARGO_PROFILE_RELEASE_LTO=off \
    CARGO_PROFILE_RELEASE_OPT_LEVEL=1 \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
    NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
