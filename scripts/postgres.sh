# start_postgres for scripts/testbed, which owns $temp and the end of $postgres_pid.
# shellcheck shell=bash disable=SC2154

# fsync stays on: tests of durability must mean something. The password keeps other users of the
# machine out, who could run programs as us through a superuser.
start_postgres() {
  local bin data=$temp/postgres log=$temp/postgres.log password port path as=()
  bin=$("$root/scripts/tool" postgres)
  password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  mkdir -m 700 "$data"
  printf '%s\n' "$password" >"$temp/password"

  # PostgreSQL refuses to run as root, and nobody may be unable to reach programs below our checkout.
  if [ "$(id -u)" = 0 ]; then
    as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    if ! "${as[@]}" test -x "$bin/postgres"; then
      # The whole package: its programs find their libraries by relative paths.
      path=${bin#"$tools"/}
      cp -r "$tools/${path%%/*}" "$temp/pg"
      chmod -R go+rX "$temp/pg"
      bin=$temp/pg/${path#*/}
    fi
    chown 65534:65534 "$data" "$temp/password"
  fi
  (cd / && "${as[@]}" "$bin/initdb" -D "$data" -U postgres -E UTF8 --locale=C --no-sync \
    --auth=password --pwfile="$temp/password") >"$log" 2>&1 ||
    { cat "$log" >&2; die "initdb of $bin failed: see above"; }

  # setpriv comes last, for a change of user forgets the signal: QUIT ends PostgreSQL if we are killed.
  # Any port may be taken between choosing and binding it, so it is tried and not asked for.
  for _ in 1 2 3 4 5; do
    port=$((20000 + RANDOM % 12000))
    (cd / && exec "${as[@]}" setpriv --pdeathsig QUIT "$bin/postgres" -D "$data" -p "$port" \
      -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=300 -c fsync=on) >>"$log" 2>&1 &
    postgres_pid=$!
    while kill -0 "$postgres_pid" 2>/dev/null; do
      if grep -q "^$port\$" <(sed -n 4p "$data/postmaster.pid" 2>/dev/null) && "$bin/pg_isready" -q -h 127.0.0.1 -p "$port"; then
        export BROKKR_TEST_POSTGRES=postgres://postgres:$password@127.0.0.1:$port/postgres
        return
      fi
      sleep 0.05
    done
    wait "$postgres_pid" || true
    grep -q 'could not bind\|Address already in use' "$log" || break
  done
  tail -n 40 "$log" >&2
  die "PostgreSQL did not start: see above"
}
