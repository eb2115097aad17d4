# Keeps an agent: the keeper is the parent of the agent and, as a child subreaper (prctl(2)), of every orphan in its tree.
# When the agent has ended, for whatever reason, the keeper kills them until wait(2) reports that nothing is left.
#   SRTCTL_KEPT=WORDS perl keeper.pl NAME
# WORDS are the agent's command, each followed by the control character US (0x1f), because as arguments they would make this
# process look like an agent. NAME is for people who list processes.
# A process of the tree can change its title, environment, session and descriptors; it cannot leave the tree.
# SIGUSR1 ends agent and tree at once. SIGTERM, SIGINT and SIGHUP are for the agent, which is in the same process group.
# When the keeper is killed, the kernel kills the agent (PR_SET_PDEATHSIG), and the agent's guard kills the rest.
use strict;
use Config;

my %prctl = (x86_64 => 157, aarch64 => 167, riscv64 => 167, ppc64 => 171, ppc64le => 171, powerpc64le => 171, s390x => 172);
my ($machine) = $Config{archname} =~ /^(\w+?)(?:-|$)/;
my $prctl = $prctl{$machine // ''};
sub prctl { defined $prctl && syscall($prctl, $_[0], $_[1], 0, 0, 0) == 0 }

my @command = split /\x1f/, delete $ENV{SRTCTL_KEPT} // '';
die "srtctl: keeper: SRTCTL_KEPT names no command\n" unless @command;
my $keeper = $$;
# Without a subreaper it could keep nothing. It starts the agent nevertheless; the guard then searches for
# leftover processes.
exec { $command[0] } @command unless prctl(36, 1);

my $agent = 0;
$SIG{$_} = sub { } for qw(HUP INT TERM);
$SIG{USR1} = sub { kill 'KILL', $agent if $agent };
$agent = fork // die "srtctl: keeper: cannot fork: $!\n";
if ($agent == 0) {
  $SIG{$_} = 'DEFAULT' for qw(HUP INT TERM USR1);
  prctl(1, 9);
  exit 137 if getppid() != $keeper;
  $ENV{SRTCTL_KEEPER} = $keeper;
  exec { $command[0] } @command;
  print STDERR "srtctl: cannot start $command[0]: $!\n";
  exit 127;
}

sub text { open my $file, '<', $_[0] or return ''; local $/; my $text = <$file>; $text // '' }
sub children {
  my $path = "/proc/$keeper/task/$keeper/children";
  return split ' ', text($path) if -e $path;
  grep { text("/proc/$_/stat") =~ /.*\) \S (\d+)/s && $1 == $keeper } map { m{^/proc/(\d+)$} } glob '/proc/[0-9]*';
}
# The guard must still remove directories and containers, and ends by itself. All of the user's containers
# share the process that holds the user's rootless podman namespace.
sub is_guard { text("/proc/$_[0]/cmdline") =~ /guard\.sh\0SRTCTL_AGENT=/ }
sub is_shared { text("/proc/$_[0]/comm") =~ /^(podman pause|catatonit)$/ }

my $status;
until (defined $status) {
  my $pid = waitpid -1, 0;
  $status = $? if $pid == $agent;
  last if $pid == -1 && $! != 4;
}
my ($pause, %seen) = (0.001);
while () {
  my ($left, $new) = (0, 0);
  for my $pid (children()) {
    next if is_shared($pid);
    $left = 1;
    if (is_guard($pid)) { kill 'CONT', $pid; next }
    kill 'KILL', $pid;
    $new = 1 unless $seen{$pid}++;
  }
  while ((my $pid = waitpid -1, 1) > 0) { delete $seen{$pid} }
  last unless $left;
  $pause = $new ? 0.001 : $pause < 0.03 ? $pause * 2 : $pause;
  select undef, undef, undef, $pause;
}
my $signal = $status & 127;
if ($signal) { $SIG{PIPE} = 'DEFAULT'; kill $signal, $$; exit 128 + $signal }
exit($status >> 8);
