# ==== Functions of the script =================================================================================
# Needs bash 4.4. A point launches its processes phase by phase, waits for each phase, and then runs the benchmark.
# No command contains two `$(…)`: bash 5.2 would handle a signal that arrives during the first one while it reads the second,
# which fails ("unexpected EOF while looking for matching `)'") and ends the script as if all were well.

# Nobody else may write the files of this job; a stricter umask of the user stays.
umask go-w

job_id=${SRTCTL_JOB_ID:-${SLURM_JOB_ID:-}}
job_dir=$outputs/$job_id
tmp_dir=/tmp/srtctl-$UID-$job_id
run_dir=$job_dir/.static
stop_code=
failed=
cause=null
exit_code=null
sweep_state=booting
nodes=()
addresses=()
het_options=()
declare -A pid_of log_of patience_of kind_of node_of group_of is_mpi started_at finished_steps
launched=()
point_states=()
for point in "${!point_names[@]}"; do point_states[point]=planned; done

# srun starts this launcher: it records the number of its step and its pid, which signals need, and becomes
# the process. The directory is in /tmp, where another user may have created one of the same name.
launcher='
echo "$SLURM_STEP_ID $$" >"$1"
if [ -n "$2" ]; then
  mkdir -m 700 -- "$2" 2>/dev/null || { [ -d "$2" ] && [ ! -L "$2" ] && [ -O "$2" ]; } || {
    echo "srtctl: $2 is not a directory of this user: another user may have created it" >&2
    exit 1
  }
fi
if [ -n "$3" ]; then cd -- "$3" || exit 1; fi
srtctl_kind=$4
shift 4
# Only a rank of an MPI program gets the variables of a rank.
if [ "$srtctl_kind" != rank ]; then
  for srtctl_name in $(env | sed -n -E "s/^($task_variables)=.*/\1/p"); do
    [ "$srtctl_kind" = command ] && echo "$srtctl_name" | grep -q -E "^($job_variables)\$" || unset "$srtctl_name"
  done
fi
unset task_variables job_variables srtctl_kind srtctl_name
exec "$@"'

say() { printf '%(%H:%M:%S)T %s\n' -1 "$*"; }

# Sets `now`: seconds of the machine's monotonic clock, because $SECONDS jumps with the wall clock.
read_clock() {
  read -r now _ </proc/uptime
  now=${now%.*}
}

is_own() { [ -d "$1" ] && [ ! -L "$1" ] && [ -O "$1" ]; }

refuse() { # MESSAGE: ends the script before it has started anything
  echo "srtctl: $1"
  exit_code=2
  exit 2
}

# ---- state.json, as `srtctl status` reads it

json_text() { # TEXT: sets `json`
  json=${1//\\/\\\\}
  json=${json//\"/\\\"}
  json=\"${json//[[:cntrl:]]/ }\"
}

save_state() {
  local number state status comma='' json
  {
    json_text "$job_id"
    printf '{"v":1,"jobId":%s,' "$json"
    json_text "$job_name"
    printf '"name":%s,"epoch":1,"generation":0,"streamSeq":0,"coordinatorPid":%d,' "$json" $$
    printf '"updatedAt":"%s","sweep":"%s","exitCode":%s,"cause":%s,"points":[' \
      "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$sweep_state" "$exit_code" "$cause"
    for number in "${!point_names[@]}"; do
      state=${point_states[number]}
      case $state in done | failed | interrupted) status="\"$state\"" ;; *) status=null ;; esac
      json_text "${point_names[number]}"
      printf '%s{"ordinal":%d,"name":%s,"state":"%s","status":%s}' "$comma" "$number" "$json" "$state" "$status"
      comma=,
    done
    printf ']}\n'
  } >"$job_dir/.state.json" && mv -f -- "$job_dir/.state.json" "$job_dir/state.json"
}

point_state() { # STATE
  point_states[point]=$1
  save_state
}

# fail_point SUMMARY [ID]: records the first cause of a run, with the end of the process's log.
fail_point() {
  local line lines='' json log=${log_of[${2:-none}]:-}
  say "failed: $1"
  if [ -n "$log" ]; then
    say "the end of $log:"
    tail -n 20 -- "$log" 2>/dev/null | sed 's/^/  | /'
  fi
  if [ "$cause" = null ]; then
    json_text "$1"
    cause="{\"summary\":$json"
    if [ -n "$log" ]; then
      while IFS= read -r line; do
        json_text "$line"
        lines+=${lines:+,}$json
      done < <(tail -n 20 -- "$log" 2>/dev/null)
      json_text "$log"
      cause+=",\"process\":\"$2\",\"logFile\":$json,\"logTail\":[$lines]"
    fi
    cause+='}'
  fi
  return 1
}

# ---- files and waiting

write_file() { # PATH CONTENT
  mkdir -p -- "${1%/*}" && printf '%s' "$2" >"$1"
}

pause() { # SECONDS: ends early when a signal arrives
  sleep "$1" &
  wait $! || kill $! 2>/dev/null
}

# ---- nodes

address_of() { # NAME: its IPv4 address, as the other nodes reach it
  local address='' word
  read -r address word < <(getent ahostsv4 "$1")
  if [[ $address = 127.* || -z $address ]] && [ "${1%%.*}" = "$(hostname -s)" ]; then
    # A node may resolve its own name to its loopback address.
    read -r address word < <(hostname -I)
  fi
  echo "$address"
}

find_nodes() {
  local group list name node
  if [ "${SLURM_HET_SIZE:-1}" -gt 1 ]; then
    for ((group = 0; group < SLURM_HET_SIZE; group++)); do
      list=SLURM_JOB_NODELIST_HET_GROUP_$group
      for name in $(scontrol show hostnames "${!list}"); do
        nodes+=("$name")
        het_options+=("--het-group=$group")
      done
    done
  else
    for name in $(scontrol show hostnames "$SLURM_JOB_NODELIST"); do nodes+=("$name"); done
  fi
  [ ${#nodes[@]} -ge "$nodes_needed" ] ||
    refuse "the recipe needs $nodes_needed nodes, and this allocation has ${#nodes[@]}"
  if [ -n "$network_interface" ]; then
    on_all_nodes '
      ip -o -4 addr show dev "$1" | { read -r _ _ _ address _; echo "${address%/*}"; } >"$2/$SLURMD_NODENAME.address"
    ' "$network_interface" "$run_dir"
  elif [ -z "$(address_of "${nodes[0]}")" ]; then
    # A login node (salloc) may not resolve the names of compute nodes; a compute node knows its own address.
    on_all_nodes '
      getent ahostsv4 "$SLURMD_NODENAME" | { read -r address _; echo "$address"; } >"$1/$SLURMD_NODENAME.address"
    ' "$run_dir"
  fi
  for node in "${nodes[@]}"; do
    name=
    [ ! -s "$run_dir/$node.address" ] || name=$(<"$run_dir/$node.address")
    addresses+=("${name:-$(address_of "$node")}")
    [ -n "${addresses[-1]}" ] ||
      refuse "$node has no address here (set network_interface in srtslurm.yaml to the interface that connects the nodes)"
  done
}

on_all_nodes() { # SHELL-TEXT ARGUMENT…: runs on each node once
  local groups=() place=(--nodes="${#nodes[@]}" --ntasks="${#nodes[@]}")
  if [ ${#het_options[@]} -gt 0 ]; then place=() groups=(--het-group="0-$((SLURM_HET_SIZE - 1))"); fi
  timeout -k 5 "${patience:-60}" srun "${step_options[@]}" "${place[@]}" "${groups[@]}" --ntasks-per-node=1 --mpi=none --kill-on-bad-exit=0 \
    --job-name=srtctl-all /bin/sh -c "$1" srtctl "${@:2}" </dev/null
}

# Unsets the variables of sbatch or of an enclosing step that would change the steps.
unset_misleading() {
  local name
  for name in "${!SLURM_@}" "${!SRUN_@}" "${!SBATCH_@}"; do
    case $name in
      SLURM_MEM_PER_* | SLURM_CPUS_PER_* | SLURM_CPU_BIND* | SLURM_GPU_BIND | SLURM_GPUS_PER_TASK | \
        SLURM_TRES_PER_TASK | SLURM_NTASKS* | SLURM_NPROCS | SLURM_EXACT | SLURM_EXCLUSIVE | SLURM_HINT | \
        SLURM_THREADS_PER_CORE | SLURM_DISTRIBUTION | SLURM_MPI_TYPE | SLURM_STEP_* | SLURM_STEPID | \
        SLURM_LABELIO | SLURM_UNBUFFEREDIO | SLURM_KILL_BAD_EXIT | SLURM_WAIT | SLURM_NO_KILL | SLURM_SRUN_* | \
        SRUN_* | SBATCH_*) unset "$name" ;;
    esac
  done
}

# ---- processes

# launch ID NODE-INDEX LOG PATIENCE ends|serves|may-end STOP-GROUP [mpi]: starts srun in the background; the
# function p<point>.<id> has the command.
launch() {
  local id=$1 index=$2 log=$3
  [ -z "$stop_code" ] || return 1
  mkdir -p -- "${log%/*}"
  rm -f -- "$run_dir/$id.step"
  log_of[$id]=$log
  patience_of[$id]=$4
  kind_of[$id]=$5
  node_of[$id]=$index
  group_of[$id]=$6
  is_mpi[$id]=${7:-}
  read_clock
  started_at[$id]=$now
  (
    trap - TERM INT EXIT
    exec </dev/null >>"$log" 2>&1
    export SRTCTL_JOB=$job_id SRTCTL_NODE=${nodes[index]} SRTCTL_NODE_ADDRESS=${addresses[index]}
    export SRTCTL_NODE_BIN=$node_binary PATH=$path_before$PATH$path_after
    # A stand-in finds its own faults by this id.
    export task_variables job_variables SRTCTL_PROCESS=$job_id/${nodes[index]}/$id/1
    "p$point.$id"
  ) &
  pid_of[$id]=$!
  launched+=("$id")
}

# step NUMBER launch …: skips a step that has succeeded for an earlier point.
step() {
  [ -z "${finished_steps[$1]:-}" ] || return 0
  number_of_step[$1]=$3
  "${@:2}"
}

# run_on NODE-INDEX DIRECTORY TMP-DIR engine|command [OPTION…] -- COMMAND…: becomes the srun of a process.
run_on() {
  local index=$1 directory=$2 scratch=$3 kind=$4 options=()
  shift 4
  while [ "$1" != -- ]; do
    options+=("$1")
    shift
  done
  shift
  exec srun "${options[@]}" "${step_options[@]}" ${het_options[index]:+"${het_options[index]}"} \
    --nodes=1 --ntasks=1 --ntasks-per-node=1 --nodelist="${nodes[index]}" --mpi=none --kill-on-bad-exit=0 \
    --job-name="srtctl-$id" /bin/sh -c "$launcher" srtctl-process "$run_dir/$id.step" "$scratch" "$directory" "$kind" "$@"
}

# run_mpi TASKS TASKS-OF-A-NODE "NODE-INDEX …" DIRECTORY TMP-DIR [OPTION…] -- COMMAND…: one srun for the tasks of an MPI program.
run_mpi() {
  local tasks=$1 each=$2 list directory=$4 scratch=$5 options=() names=() index
  read -r -a list <<<"$3"
  shift 5
  while [ "$1" != -- ]; do
    options+=("$1")
    shift
  done
  shift
  for index in "${list[@]}"; do names+=("${nodes[index]}"); done
  # By itself Slurm may distribute them evenly.
  [ $((each * ${#names[@]})) -eq "$tasks" ] || options+=("--distribution=plane=$each")
  exec srun --mpi=pmix "${options[@]}" "${step_options[@]}" ${het_options[index]:+"${het_options[index]}"} \
    --nodes="${#names[@]}" --ntasks="$tasks" --ntasks-per-node="$each" \
    --nodelist="$(IFS=,; echo "${names[*]}")" --kill-on-bad-exit=1 \
    --job-name="srtctl-$id" /bin/sh -c "$launcher" srtctl-process "$run_dir/$id.step" "$scratch" "$directory" rank "$@"
}

alive() { # ID
  kill -0 "${pid_of[$1]}" 2>/dev/null
}

# all_alive: fails the point when a process has ended that should not have.
all_alive() {
  local id code
  for id in "${launched[@]}"; do
    [ "${kind_of[$id]}" = serves ] || continue
    alive "$id" && continue
    wait "${pid_of[$id]}"
    code=$?
    fail_point "$id ended with exit code $code" "$id"
    return 1
  done
}

# await_ready ID…: polls until all are ready (or, for steps, have exited with 0).
await_ready() {
  local waiting=("$@") next id code
  while :; do
    next=()
    for id in "${waiting[@]}"; do
      [ -n "${pid_of[$id]:-}" ] || continue
      if [ "${kind_of[$id]}" = ends ]; then
        if ! alive "$id"; then
          wait "${pid_of[$id]}"
          code=$?
          [ "$code" -eq 0 ] || { fail_point "$id ended with exit code $code" "$id"; return 1; }
          say "$id is done"
          continue
        fi
      elif [ "${kind_of[$id]}" = may-end ] && ! alive "$id"; then
        wait "${pid_of[$id]}"
        say "$id ended with exit code $?; the point goes on without it, because it is not critical"
        continue
      elif "p$point.$id.ready"; then
        say "$id is ready"
        continue
      fi
      read_clock
      if [ $((now - started_at[$id])) -ge "${patience_of[$id]}" ] && [ "${patience_of[$id]}" -gt 0 ]; then
        if [ "${kind_of[$id]}" = may-end ]; then
          say "$id is not ready after ${patience_of[$id]} s; the point goes on without it, because it is not critical"
          continue
        fi
        fail_point "$id is not ready after ${patience_of[$id]} s" "$id"
        return 1
      fi
      next+=("$id")
    done
    [ -z "$stop_code" ] || return 1
    all_alive || return 1
    [ ${#next[@]} -gt 0 ] || break
    waiting=("${next[@]}")
    pause "$interval"
    [ -z "$stop_code" ] || return 1
  done
  for id in "${!number_of_step[@]}"; do finished_steps[$id]=yes; done
}

await_end() { # ID: waits for the benchmark; no other process may end before it
  local code
  while alive "$1"; do
    [ -z "$stop_code" ] || return 1
    all_alive || return 1
    pause "$benchmark_interval"
  done
  [ -z "$stop_code" ] || return 1
  wait "${pid_of[$1]}"
  code=$?
  [ "$code" -eq 0 ] || fail_point "the benchmark ended with exit code $code" "$1"
}

stay_up() {
  while [ -z "$stop_code" ]; do
    all_alive || return 1
    pause "$interval"
  done
  return 1
}

# ---- the end

# Runs on the node: stops each NODE:PID…. SIGTERM goes to the main process, which ends its children in its own order. A
# shell that waits for one command is a wrapper, so its command gets the signal. When a shell waits for several commands, or
# for none, the main process is unknown, so the whole group gets it (as with agents: src/node-agent/start/main-process.ts).
ask_main='
# The process group is the third word after the name, which may contain anything.
group_of() { read -r line 2>/dev/null <"/proc/$1/stat" || return; set -- ${line##*) }; group=$3; }
ask() {
  pid=$1 depth=0
  group_of "$1" || return
  own=$group
  while [ "$depth" -lt 8 ] && [ "$group" = "$own" ]; do
    read -r name 2>/dev/null <"/proc/$pid/comm" || return
    case $name in
      sh | bash | dash | ash | busybox | ksh | zsh) ;;
      *) kill -s TERM "$pid"; return ;;
    esac
    children=
    read -r children 2>/dev/null <"/proc/$pid/task/$pid/children"
    set -- "$1" $children
    [ $# -eq 2 ] && group_of "$2" || break
    pid=$2 depth=$((depth + 1))
  done
  kill -s TERM -- "-$1" || kill -s TERM "$1"
}
for entry; do
  [ "${entry%:*}" != "$SLURMD_NODENAME" ] || ask "${entry##*:}"
done
exit 0'

# signal_steps SIGNAL ID…: signals all processes of their steps; signals srun itself only where the process
# has not started.
signal_steps() {
  local signal=$1 id number pid steps=()
  shift
  for id; do
    alive "$id" || continue
    if [ -s "$run_dir/$id.step" ]; then
      read -r number pid <"$run_dir/$id.step"
      steps+=("$SLURM_JOB_ID.$number")
    else
      kill -s "$signal" "${pid_of[$id]}" 2>/dev/null
    fi
  done
  [ ${#steps[@]} -eq 0 ] || scancel --quiet --signal="$signal" "${steps[@]}"
}

# ask_to_end ID…: sends SIGTERM to their main processes. Ranks of an MPI program all get it at once, on every
# node.
ask_to_end() {
  local id number pid others=() mains=()
  for id; do
    if [ -z "${is_mpi[$id]:-}" ] && alive "$id" && [ -s "$run_dir/$id.step" ]; then
      read -r number pid <"$run_dir/$id.step"
      mains+=("${nodes[${node_of[$id]}]}:$pid")
    else
      others+=("$id")
    fi
  done
  signal_steps TERM "${others[@]}"
  [ ${#mains[@]} -eq 0 ] || patience=15 on_all_nodes "$ask_main" "${mains[@]}" >/dev/null 2>&1 || signal_steps TERM "$@"
}

# all_gone SECONDS ID…: waits until all have ended.
all_gone() {
  local id some tries=$(($1 * 10))
  shift
  while :; do
    some=
    for id; do if alive "$id"; then some=$id; break; fi; done
    [ -n "$some" ] || return 0
    [ $((tries--)) -gt 0 ] || return 1
    sleep 0.1
  done
}

# stop_all: stops clients before routers, routers before workers, and the registries last. Each group gets
# some seconds before the next one, all together the grace, and then SIGKILL.
stop_all() {
  local id group ids until=0 last=$((grace / 2))
  [ "$last" -le 5 ] || last=5
  if ! all_gone 0 "${launched[@]}"; then
    for group in 0 1 2 3 4 5; do
      ids=()
      for id in "${launched[@]}"; do [ "${group_of[$id]}" != "$group" ] || ! alive "$id" || ids+=("$id"); done
      [ ${#ids[@]} -gt 0 ] || continue
      read_clock
      until=$((now + grace - last))
      ask_to_end "${ids[@]}"
      all_gone "$group_patience" "${ids[@]}"
    done
    read_clock
    [ "$until" -gt "$now" ] || until=$now
    if ! all_gone $((until - now)) "${launched[@]}"; then
      signal_steps TERM "${launched[@]}"
      if ! all_gone "$last" "${launched[@]}"; then
        say "some processes still run after $grace s: SIGKILL"
        signal_steps KILL "${launched[@]}"
        if ! all_gone 10 "${launched[@]}"; then
          for id in "${launched[@]}"; do kill -KILL "${pid_of[$id]}" 2>/dev/null; done
          all_gone 5 "${launched[@]}"
        fi
      fi
    fi
  fi
  for id in "${launched[@]}"; do wait "${pid_of[$id]}" 2>/dev/null; done
  launched=()
  pid_of=()
}

# ---- readiness

# http_get HOST PORT PATH: the answer's body in $run_dir/answer, its status in $http_status; succeeds for 2xx.
http_status=''
if command -v curl >/dev/null; then
  http_get() {
    http_status=$(curl --silent --noproxy '*' --max-time 5 --output "$run_dir/answer" --write-out '%{http_code}' "http://$1:$2$3" 2>/dev/null)
    [[ $http_status = 2?? ]]
  }
else
  http_get() {
    timeout 5 bash -c '
      exec 3<>"/dev/tcp/$1/$2" || exit
      printf "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n" "$3" "$1" >&3
      cat <&3' bash "$1" "$2" "$3" >"$run_dir/answer.raw" 2>/dev/null
    local first
    read -r _ http_status first <"$run_dir/answer.raw"
    sed '1,/^\r*$/d' "$run_dir/answer.raw" >"$run_dir/answer"
    [[ $http_status = 2?? ]]
  }
fi

# http_ready HOST PORT PATH [ACCEPT [COUNTS STEPS [LEAST MOST NUMBER-OF-PATTERNS PATTERN…]…]]
# ACCEPT: a status and a text in the body that count as 2xx. COUNTS and STEPS: JSON, or empty.
http_ready() {
  if ! http_get "$1" "$2" "$3"; then
    [[ -n ${4:-} && $http_status = "${4%% *}" ]] || return 1
    tr -d ' \t\r\n' <"$run_dir/answer" | grep -qF -- "${4#* }" || return 1
  fi
  [ $# -gt 4 ] || return 0
  if command -v python3 >/dev/null; then
    ask_json "$1" "$2" "$5" "$6"
  else
    [ -z "$5" ] || count_text "${@:7}"
  fi
}

ask_json() { # HOST PORT COUNTS STEPS: succeeds when every count is right and every step passes
  python3 -c '
import json, re, sys, urllib.request
host, port, counts, steps = sys.argv[2:]
def at(body, keys):
    for key in keys:
        if isinstance(body, list): body = body[int(key)] if key.isdigit() and int(key) < len(body) else None
        else: body = body.get(key) if isinstance(body, dict) else None
    return body
def same(a, b): return isinstance(a, bool) == isinstance(b, bool) and a == b
def fits(item, where):
    if isinstance(item, str): return not where
    return isinstance(item, dict) and all(
        any(k in item and same(item[k], v) for v in (w if isinstance(w, list) else [w])) for k, w in where.items())
def address_in(text):
    return re.sub(r"@\d+$", "", re.sub(r"/.*$", "", re.sub(r"^[a-z][a-z0-9+.-]*://", "", text, flags=re.I), flags=re.S))
def right(body, count):
    items = at(body, count["at"])
    items = [x for x in items if fits(x, count["where"])] if isinstance(items, list) else []
    most, least, address = count.get("most", count["count"]), count.get("least", count["count"]), count.get("address")
    if not address: return least <= len(items) <= most
    each, found = address.get("each"), {}
    texts = [at(x, address["field"]) for x in items]
    for text in texts:
        if isinstance(text, str): found[address_in(text)] = found.get(address_in(text), 0) + 1
    have = sum(not isinstance(text, str) for text in texts) // (each or 1)
    for name, times in found.items():
        if name in address["among"]:
            if each and times > each: return False
            have += not each or times >= each
        elif name not in address.get("others", []): return False
    return least <= have <= most
def all_right(body, counts): return all(right(body, count) for count in counts)
body = json.load(open(sys.argv[1]))
if counts and not all_right(body, json.loads(counts)): sys.exit(1)
taken = {}
def passes(step, asked):
    try:
        data = asked.get("body")
        if data is not None:
            data = {k: taken.get(v[1:-1], v) if isinstance(v, str) and re.fullmatch(r"\{\w+\}", v) else v for k, v in data.items()}
        request = urllib.request.Request("http://%s:%s%s" % (host, port, asked["path"]),
            None if data is None else json.dumps(data).encode(), {"content-type": "application/json"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=step.get("timeoutMs", 5000) / 1000) as answer: body = json.load(answer)
    except Exception: return False
    if not all_right(body, step.get("expect", [])): return False
    for name, keys in step.get("take", {}).items():
        if at(body, keys) is None: return False
        taken[name] = at(body, keys)
    return True
for step in json.loads(steps) if steps else []:
    if not any(passes(step, asked) for asked in [step, *step.get("or", [])]): sys.exit(1)
' "$run_dir/answer" "$@" 2>/dev/null
}

# Without python3 the braces separate the objects of the answer, which is enough for the answers of routers.
# This check ignores the address of a registration and asks no further questions.
count_text() { # (LEAST MOST NUMBER-OF-PATTERNS PATTERN…)…
  local least most patterns pattern found number
  while [ $# -gt 0 ]; do
    least=$1 most=$2 patterns=("${@:4:$3}")
    shift $((3 + $3))
    found=$(tr -d ' \t\r\n' <"$run_dir/answer" | tr '{' '\n')
    for pattern in "${patterns[@]}"; do found=$(grep -F -- "$pattern" <<<"$found"); done
    if [ -n "$found" ]; then number=$(wc -l <<<"$found"); else number=0; fi
    [[ $number -ge $least && ($most = 0 || $number -le $most) ]] || return 1
  done
}

tcp_ready() { # HOST PORT
  timeout 5 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$1" "$2" 2>/dev/null
}

# ---- the job and its points

begin_job() {
  [[ -n $job_id && -n ${SLURM_JOB_NODELIST:-}${SLURM_HET_SIZE:-} ]] ||
    refuse 'this script needs a Slurm allocation: submit it with sbatch, or run it inside salloc'
  if [ "$needs_node" = yes ] && [ ! -x "$node_binary" ]; then
    refuse "$HOSTNAME: the Node runtime ${node_binary:-for $(uname -m)} does not exist, and this recipe runs a program of srtctl (sa-bench, model.stage_dir or --mock); a benchmark of type custom needs none"
  fi
  mkdir -p -- "$outputs" && { mkdir -m 755 -- "$job_dir" 2>/dev/null || is_own "$job_dir"; } ||
    refuse "$job_dir is not a directory of this user: another user may have created it"
  mkdir -p -- "$job_dir/logs" "$run_dir" || refuse "cannot create $job_dir"
  [ -e "$job_dir/sbatch_script.sh" ] || (umask 077 && cp -- "$0" "$job_dir/sbatch_script.sh")
  trap 'stop_code=143; say "told to end (SIGTERM: scancel, time limit or preemption)"' TERM
  trap 'stop_code=130; say "interrupted"' INT
  trap 'leave' EXIT
  unset_misleading
  find_nodes
  sweep_state=running
  save_state
  say "$job_name: job $job_id on ${nodes[*]:0:8}$([ ${#nodes[@]} -le 8 ] || echo " and $((${#nodes[@]} - 8)) more")"
}

begin_point() { # NUMBER DIRECTORY POLL-SECONDS GRACE-SECONDS SECONDS-FOR-A-GROUP
  point=$1 point_dir=$2 interval=${SRTCTL_STATIC_POLL_SECONDS:-$3} grace=$4 group_patience=$5
  # A short interval, because its end is measured by polling.
  benchmark_interval=$interval
  [ "${interval%%.*}" -lt 1 ] || benchmark_interval=1
  launched=()
  pid_of=()
  number_of_step=()
  mkdir -p -- "$point_dir"
  point_state deploying
}

run_point() { # NUMBER
  local outcome
  [ -z "$stop_code" ] || return 0
  [ -z "$failed" ] || [ "$on_failure" = continue ] || return 0
  say "point $1: ${point_names[$1]}"
  if "point_$1"; then outcome='done'; else outcome=failed; fi
  [ -z "$stop_code" ] || outcome=interrupted
  [ "$outcome" = 'done' ] || failed=yes
  point_state cleaning
  stop_all
  point_state "$outcome"
  say "point $1: $outcome"
}

end_job() {
  if [ -n "$stop_code" ]; then exit_code=$stop_code; elif [ -n "$failed" ]; then exit_code=1; else exit_code=0; fi
  exit "$exit_code"
}

# leave: runs at every end of the script.
leave() {
  trap '' TERM INT
  [ "$exit_code" != null ] || exit_code=1
  sweep_state=cleaning
  save_state
  stop_all
  # shellcheck disable=SC2016
  on_all_nodes 'rm -rf -- "$1"' "$tmp_dir" >/dev/null 2>&1
  rm -rf -- "$run_dir"
  sweep_state=finished
  save_state
  say "exit code $exit_code"
  exit "$exit_code"
}
