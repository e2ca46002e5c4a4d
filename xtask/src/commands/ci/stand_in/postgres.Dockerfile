# Stands in for docker.io/library/postgres:17: Debian's PostgreSQL 17 behind the
# same variables, paths and entry point.
FROM localhost/debian
COPY docker-entrypoint.sh /usr/local/bin/
RUN install --directory --owner=postgres --group=postgres --mode=3777 /var/run/postgresql
ENV PATH=/usr/lib/postgresql/17/bin:/usr/local/bin:/usr/bin:/bin PGDATA=/var/lib/postgresql/data
VOLUME /var/lib/postgresql/data
STOPSIGNAL SIGINT
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
