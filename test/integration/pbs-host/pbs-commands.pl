#!/usr/bin/perl
# A scripted OpenPBS host: one program under the names of PBS's commands, which keeps its jobs as files in the folder
# `state` beside its own and runs them for real, as the user. Options, output and error texts are those of OpenPBS 20 to 23,
# as its source and captures of real servers have them, defects of the JSON included (state/style: `openpbs-20` or
# `openpbs-23`). Faults are on while there is a file in `state` for them: down, no-history, lost-answer, terminating, refusal (its text).
use strict;
use warnings;
use POSIX ();
use Cwd ();

my ($command) = $0 =~ m{([^/]+)$};
my $base = Cwd::abs_path(__FILE__) =~ s{/[^/]+/[^/]+$}{}r;
my $state = "$base/state";
my $server = 'pbs';
my $user = getpwuid($<);
my $host = (POSIX::uname())[1];

# Options of qsub and qalter.
my $letters = 'a:A:c:C:e:fhIj:J:k:l:m:M:N:o:p:P:q:r:R:S:u:v:VW:Xz';

my %commands = (
    qsub => \&qsub, qstat => \&qstat, qselect => \&qselect, qdel => \&qdel, qhold => \&qhold, qrls => \&qrls,
    qalter => \&qalter, pbsnodes => \&pbsnodes, pbs_rstat => \&pbs_rstat,
);
if (-e "$state/down") {
    print_document() if $command eq 'qstat';
    fail("Connection refused\n$command: cannot connect to server $server (errno=15010)", 255);
}
$commands{$command}->();

# ---- files ----

sub spill { my ($path, $text) = @_; open my $file, '>', "$path.$$" or die "$path: $!"; print $file $text; close $file; rename "$path.$$", $path; }
sub slurp { my ($path) = @_; open my $file, '<', $path or return; local $/; my $text = <$file>; close $file; return $text; }
sub fail { my ($text, $code) = @_; print STDERR "$text\n"; exit $code; }
sub get { my ($id, $name) = @_; return slurp("$state/$id/attributes/$name"); }
sub set { my ($id, %values) = @_; spill("$state/$id/attributes/$_", $values{$_}) for keys %values; }

sub job_ids {
    opendir my $folder, $state or die $!;
    my @ids = grep { /^\d+(\[\d*\])?$/ && -e "$state/$_/ready" } readdir $folder;
    return sort { ($a =~ /^(\d+)/)[0] <=> ($b =~ /^(\d+)/)[0] || $a cmp $b } @ids;
}

sub known_id {
    my ($text) = @_;
    my ($id, $suffix) = $text =~ /^(\d+(?:\[\d*\])?)(?:\.(.*))?$/;
    fail("$command: illegally formed job identifier: $text", 1) unless defined $id;
    fail("$command: Unknown Job Id $id." . ($suffix // $server), 153)
        unless (!defined $suffix || $suffix eq $server) && -e "$state/$id/ready";
    return $id;
}

sub is_finished { my ($id) = @_; return (refresh($id) // '') =~ /^[FX]$/; }

# The state of an array is that of its subjobs.
sub refresh {
    my ($id) = @_;
    return get($id, 'job_state') unless $id =~ /^(\d+)\[\]$/;
    my @subjobs = grep { /^$1\[\d+\]$/ } job_ids();
    my @open = grep { get($_, 'job_state') ne 'X' } @subjobs;
    my $letter = !@open ? 'F' : (grep { get($_, 'job_state') ne 'Q' } @subjobs) ? 'B' : 'Q';
    set($id, job_state => $letter, mtime => time) if $letter ne get($id, 'job_state');
    set($id, Exit_status => 0, substate => 92) if $letter eq 'F';
    return $letter;
}

# ---- qsub ----

sub options {
    my ($words, $letters, $into) = @_;
    while (@$words && $words->[0] =~ /^-./ && $words->[0] ne '--') {
        my $word = substr shift @$words, 1;
        while (length $word) {
            my $letter = substr $word, 0, 1, '';
            my ($takes) = $letters =~ /\Q$letter\E(:?)/ or usage();
            if ($takes eq '') { $into->{$letter} = 1; next; }
            my $value = length $word ? $word : shift @$words;
            usage() unless defined $value;
            $into->{$letter} = $letter eq 'l' && defined $into->{l} ? "$into->{l},$value" : $value;
            last;
        }
    }
    return $words;
}
sub usage { fail("usage: qsub [-a date_time] [-A account_string] [-c interval]\n\t[-v variable_list] [-V ] [-z] [script | -- command [arg1 ...]]", 2); }

sub directive_words {
    my ($text) = @_;
    my @words;
    while ($text =~ /((?:'[^']*'|"[^"]*"|\\.|[^\s'"\\])+)/gs) {
        push @words, $1 =~ s/'([^']*)'|"([^"]*)"|\\(.)/$1 \/\/ $2 \/\/ $3/gesr;
    }
    return @words;
}

# set_job_env() and copy_env_value() of qsub, and what the server drops.
sub variables {
    my ($text) = @_;
    my @found;
    while (length $text) {
        $text =~ s/^([^,=]+)// or fail('qsub: cannot form the variable list', 1);
        my $name = $1;
        if ($text !~ s/^=//) {
            $text =~ s/^,//;
            fail("qsub: cannot send environment with the job", 3) unless defined $ENV{$name};
            push @found, [$name, $ENV{$name}] unless $name =~ /^PBS_O_/;
            next;
        }
        my ($value, $quote) = ('', '');
        while (length $text) {
            my $letter = substr $text, 0, 1, '';
            if ($letter =~ /["']/ && ($quote eq '' || $quote eq $letter)) { $quote = $quote eq '' ? $letter : ''; }
            elsif ($letter eq ',' && $quote eq '') { last; }
            else { $value .= $letter; }
        }
        fail('qsub: unterminated quote', 1) if $quote ne '';
        push @found, [$name, $value =~ s/\s+$//r] unless $name =~ /^PBS_O_/;
    }
    return @found;
}

sub qsub {
    my %given;
    my @rest = @{ options([@ARGV], $letters, \%given) };
    my $script = @rest ? slurp($rest[0]) : do { local $/; <STDIN> };
    fail("qsub: script file:: No such file or directory", 1) unless defined $script;
    my %asked;
    for my $line (split /\n/, $script =~ s/\\\n//gr) {
        if ($line =~ /^\s*#PBS(.*)/) { options([directive_words($1)], $letters, \%asked); }
        elsif ($line !~ /^\s*(?:[#:]|$)/) { last; }
    }
    my %option = (%asked, %given);
    $option{l} = join ',', grep { defined } $asked{l}, $given{l};
    my $name = $option{N} // (@rest ? $rest[0] =~ s{.*/}{}r : 'STDIN');
    fail("qsub: illegal -N value\nusage: qsub [-a date_time]", 2) if $name !~ /^[A-Za-z0-9_+.-]{1,230}$/;
    fail('qsub: Unknown queue', 170) if ($option{q} // 'workq') !~ /^(?:workq|R5)(?:\@$server)?$/;
    my %resources = map { /^([^=]+)=(.*)$/ ? ($1, $2) : fail('qsub: illegal -l value', 2) } split /,/, $option{l};
    for (keys %resources) { fail("qsub: Unknown resource: $_", 41) unless /^(?:select|place|walltime|ncpus|mem|nodes|nodect)$/; }
    fail('qsub: Illegal attribute or resource value Resource_List.walltime', 15) if ($resources{walltime} // '1') !~ /^[\d:]+$/;
    count_chunks(\%resources);
    if (defined(my $refusal = slurp("$state/refusal"))) { chomp $refusal; fail("qsub: $refusal", 32); }
    my $number = sequence();
    my ($first, $last) = defined $option{J} ? $option{J} =~ /^(\d+)-(\d+)$/ : ();
    my $here = $ENV{PWD} // Cwd::getcwd();
    my @environment = (
        ['PBS_O_HOME', $ENV{HOME}], ['PBS_O_PATH', $ENV{PATH}], ['PBS_O_WORKDIR', $here], ['PBS_O_HOST', $host],
        variables($option{v} // ''), ($option{V} ? map { [$_, $ENV{$_}] } grep { !/^PBS_O_/ } sort keys %ENV : ()),
    );
    my %attributes = (
        Job_Name => $name, Job_Owner => "$user\@$host", job_state => $option{h} ? 'H' : 'Q', queue => $option{q} // 'workq',
        server => $server, Checkpoint => 'u', ctime => time, mtime => time, qtime => time, Hold_Types => $option{h} ? 'u' : 'n',
        Join_Path => $option{j} // 'n', Keep_Files => 'n', Mail_Points => 'a', Priority => $option{p} // 0, Rerunable => 'True',
        substate => $option{h} ? 20 : 10, project => $option{P} // '_pbs_project_default',
        Output_Path => "$host:" . placed($option{o} // "$name.o$number", $here),
        Error_Path => "$host:" . placed($option{e} // "$name.e$number", $here),
        Submit_arguments => join(' ', @ARGV), map { ("Resource_List.$_" => $resources{$_}) } keys %resources,
    );
    my $id = defined $first ? "${number}[]" : $number;
    make_job($id, $script, \@environment, { %attributes, defined $first ? (array => 'True', array_indices_submitted => $option{J}) : () });
    if (defined $first) { make_job("${number}[$_]", $script, [@environment, ['PBS_ARRAY_INDEX', $_]], \%attributes) for $first .. $last; }
    start_job(defined $first ? map { "${number}[$_]" } $first .. $last : $number);
    kill KILL => $$ if -e "$state/lost-answer";
    print "$id.$server\n";
}

# The server adds up what the chunks of a selection ask for.
sub count_chunks {
    my ($resources) = @_;
    my %sum = (ncpus => 0, nodect => 0);
    for (split /\+/, $resources->{select} // '1:ncpus=' . ($resources->{ncpus} // 1)) {
        my ($count) = /^(\d+)/;
        my %chunk = /:(\w+)=(\d+)(?=:|$)/g;
        $sum{nodect} += $count;
        $sum{ncpus} += $count * ($chunk{ncpus} // 1);
        $sum{ngpus} += $count * $chunk{ngpus} if defined $chunk{ngpus};
    }
    @$resources{ keys %sum } = values %sum;
}

sub placed { my ($path, $here) = @_; return $path =~ m{^/} ? $path : "$here/$path"; }

sub sequence {
    my $number = 1 + ((map { /^(\d+)/ } job_ids())[-1] // 0);
    $number += 1 until mkdir "$state/number-$number";
    return $number;
}

sub make_job {
    my ($id, $script, $environment, $attributes) = @_;
    mkdir "$state/$id" or die $!;
    mkdir "$state/$id/attributes" or die $!;
    set($id, %$attributes);
    spill("$state/$id/environment", join '', map { "$_->[0]=$_->[1]\0" } @$environment);
    spill("$state/$id/script", $script);
    chmod 0700, "$state/$id/script";
    spill("$state/$id/ready", '');
}

# ---- the execution host ----

sub start_job {
    my @ids = @_;
    my $child = fork;
    return if $child;
    POSIX::setsid();
    open STDIN, '<', '/dev/null'; open STDOUT, '>', '/dev/null'; open STDERR, '>', '/dev/null';
    exit if fork;
    chdir $ENV{HOME};
    run_job($_) for @ids;
    exit;
}

sub run_job {
    my ($id) = @_;
    select undef, undef, undef, 0.05 while get($id, 'job_state') eq 'H' && !-e "$state/$id/deleted";
    return finish($id, undef, 91) if -e "$state/$id/deleted";
    my $started = time;
    set($id, job_state => 'R', substate => 42, stime => $started, mtime => $started, exec_host => "$host/0",
        exec_vnode => "($host:ncpus=1)", comment => 'Job run at ' . POSIX::strftime('%a %b %d at %H:%M', localtime));
    my $script = "$state/$id/script";
    my $job = fork;
    if (!$job) {
        POSIX::setsid();
        my %variables = (HOME => $ENV{HOME}, LOGNAME => $user, USER => $user, SHELL => '/bin/sh', PATH => '/usr/local/bin:/usr/bin:/bin',
            PBS_ENVIRONMENT => 'PBS_BATCH', PBS_JOBID => "$id.$server", PBS_JOBNAME => get($id, 'Job_Name'),
            map { split /=/, $_, 2 } split /\0/, slurp("$state/$id/environment"));
        open STDOUT, '>', "$state/$id/output";
        open STDERR, '>', "$state/$id/error";
        %ENV = %variables;
        exec '/bin/sh', '-c', "'$script'; exit \$?";
    }
    spill("$state/$id/group", $job);
    my $limit = seconds(get($id, 'Resource_List.walltime'));
    my $timed_out = 0;
    until (waitpid($job, POSIX::WNOHANG()) == $job) {
        select undef, undef, undef, 0.02;
        $limit = seconds(get($id, 'Resource_List.walltime'));
        if (defined $limit && time - $started >= $limit && !$timed_out) { $timed_out = 1; kill TERM => -$job; }
        kill KILL => -$job if -e "$state/$id/kill";
    }
    my $status = $? & 127 ? 256 + ($? & 127) : $? >> 8;
    kill KILL => -$job;
    set($id, 'resources_used.walltime' => POSIX::strftime('%H:%M:%S', gmtime(time - $started)), 'resources_used.ncpus' => 1);
    my $joined = get($id, 'Join_Path');
    my ($output, $error) = (slurp("$state/$id/output") // '', slurp("$state/$id/error") // '');
    if ($joined eq 'oe') { deliver($id, 'Output_Path', $output . $error); }
    else { deliver($id, 'Output_Path', $output); deliver($id, 'Error_Path', $error); }
    finish($id, $status, -e "$state/$id/deleted" ? 91 : $status == 0 ? 92 : 93);
}

sub seconds { my ($text) = @_; return unless defined $text; my $sum = 0; $sum = $sum * 60 + $_ for split /:/, $text; return $sum; }

sub deliver {
    my ($id, $which, $text) = @_;
    my ($path) = get($id, $which) =~ /^[^:]*:(.*)$/s;
    my ($index) = $id =~ /\[(\d+)\]/;
    $path =~ s/\^array_index\^/$index/g if defined $index;
    if (open my $file, '>', $path) { print $file $text; close $file; }
}

sub finish {
    my ($id, $status, $substate) = @_;
    my $word = $substate == 91 ? 'terminated' : $substate == 92 ? 'finished' : 'failed';
    set($id, substate => $substate, mtime => time, history_timestamp => time, comment => (get($id, 'comment') // 'Job') . " and $word",
        defined $status ? (Exit_status => $status) : ());
    if (-e "$state/no-history") { unlink "$state/$id/ready"; return; }
    set($id, job_state => $id =~ /\[\d+\]/ ? 'X' : 'F');
}

# ---- what is asked and told ----

sub qdel {
    my $id = known_id($ARGV[0]);
    fail("qdel: Job has finished $id.$server", 35) if is_finished($id);
    fail("qdel: Unauthorized Request  $id.$server", 159) if get($id, 'Job_Owner') !~ /^\Q$user\E\@/;
    my @ids = $id =~ /^(\d+)\[\]$/ ? grep { /^$1\[\d+\]$/ } job_ids() : $id;
    for my $each (@ids) {
        spill("$state/$each/deleted", '');
        my $group = slurp("$state/$each/group");
        kill TERM => -$group if defined $group;
    }
    my $killer = fork;
    return if $killer;
    open STDIN, '<', '/dev/null'; open STDOUT, '>', '/dev/null'; open STDERR, '>', '/dev/null';
    POSIX::setsid();
    sleep 1;
    spill("$state/$_/kill", '') for @ids;
}

sub owned_open {
    my $id = known_id($_[0]);
    fail("$command: Job has finished $id.$server", 35) if is_finished($id);
    fail("$command: Unauthorized Request  $id.$server", 159) if get($id, 'Job_Owner') !~ /^\Q$user\E\@/;
    return $id;
}
sub qhold {
    my $id = owned_open($ARGV[-1]);
    fail("qhold: Request invalid for state of job $id.$server", 168) if get($id, 'job_state') !~ /^[QH]$/;
    set($id, job_state => 'H', Hold_Types => 'u', substate => 20, comment => "Job held by $user");
}
sub qrls { my $id = owned_open($ARGV[-1]); set($id, job_state => 'Q', Hold_Types => 'n', substate => 10) if get($id, 'job_state') eq 'H'; }
sub qalter {
    my %given;
    my ($target) = @{ options([@ARGV], $letters, \%given) };
    my $id = owned_open($target);
    my $is_running = get($id, 'job_state') eq 'R';
    for (split /,/, $given{l} // '') {
        my ($name, $value) = split /=/, $_, 2;
        fail("qalter: Unauthorized Request  $id.$server", 159) if $is_running && seconds($value) > (seconds(get($id, 'Resource_List.walltime')) // 1e9);
        set($id, "Resource_List.$name" => $value);
    }
    for (['N', 'Job_Name'], ['p', 'Priority'], ['P', 'project'], ['A', 'Account_Name']) {
        next unless defined $given{ $_->[0] };
        fail("qalter: Cannot modify attribute while job running  $_->[1]", 17) if $is_running;
        set($id, $_->[1] => $given{ $_->[0] });
    }
}

sub qselect {
    my (%given, @words);
    @words = @ARGV;
    while (@words) {
        my $word = shift @words;
        if ($word eq '-u') { $given{user} = shift @words; }
        elsif ($word eq '-H') { $given{history} = 1; }
        elsif ($word =~ /^-t([cm])\.ge\.(\d{12})\.(\d\d)$/) { $given{time} = $1; $given{since} = "$2$3"; }
        else { fail("qselect: illegal option $word", 2); }
    }
    fail('qselect: PBS is not configured to maintain job history', 1) if $given{history} && -e "$state/no-history";
    for my $id (job_ids()) {
        next if $id =~ /\[\d+\]/ || (is_finished($id) xor $given{history});
        next if defined $given{user} && get($id, 'Job_Owner') !~ /^\Q$given{user}\E\@/;
        # Times are read and compared in the zone of the command.
        next if $given{time} && POSIX::strftime('%Y%m%d%H%M%S', localtime get($id, "$given{time}time")) lt $given{since};
        print "$id.$server\n";
    }
}

sub qstat {
    my %flag = map { $_ => 1 } grep { /^-[xfQBt]$/ } @ARGV;
    my @ids = grep { !/^-/ && $_ ne 'json' } @ARGV;
    if ($flag{'-B'}) { return print_document(Server => { $server => { server_state => -e "$state/terminating" ? 'Terminating' : 'Active', server_host => $host } }); }
    if ($flag{'-Q'}) {
        my %common = (queue_type => 'Execution', state_count => 'Transit:0 Queued:0 Held:0 Waiting:0 Running:0 Exiting:0 Begun:0 ', enabled => 'True');
        return print_document(Queue => { workq => { %common, started => 'True', resources_available => { ncpus => 4, nodect => 2 } }, R5 => { %common, started => 'False' } });
    }
    fail('qstat: PBS is not configured to maintain job history', 1) if $flag{'-x'} && -e "$state/no-history";
    my ($code, %jobs, @order) = (0);
    for my $text (@ids) {
        my ($id) = $text =~ /^(\d+(?:\[\d*\])?)(?:\.\Q$server\E)?$/;
        if (!defined $id) {
            my $is_formed = $text =~ /^\d+(?:\[\d*\])?\.[\w.-]+$/;
            print STDERR $is_formed ? "qstat: Unknown Job Id $text\n" : "qstat: illegally formed job identifier: $text\n";
            $code = $is_formed ? 153 : 1;
        } elsif (!-e "$state/$id/ready") { print STDERR "qstat: Unknown Job Id $id.$server\n"; $code = 153; }
        elsif (is_finished($id) && !$flag{'-x'}) { print STDERR "qstat: $id.$server Job has finished, use -x or -H to obtain historical job information\n"; $code = 35; }
        else { $jobs{"$id.$server"} = shown($id); }
    }
    print_document(%jobs ? (Jobs => \%jobs) : ());
    exit $code;
}

sub shown {
    my ($id) = @_;
    my $letter = refresh($id); # written last, so it is read first
    opendir my $folder, "$state/$id/attributes" or die $!;
    my %shown;
    for my $name (grep { !/^\.|\.\d+$/ } readdir $folder) {
        my $value = get($id, $name) // next;
        $value = ctime($value) if $name =~ /^(?:[cmqes]time)$/;
        if ($name =~ /^(\w+)\.(\w+)$/) { $shown{$1}{$2} = $value; } else { $shown{$name} = $value; }
    }
    $shown{job_state} = $letter;
    # The server escapes what it would read as its own signs.
    for (split /\0/, slurp("$state/$id/environment")) {
        my ($name, $value) = split /=/, $_, 2;
        $shown{Variable_List}{$name} = $value =~ s/(["',\\])/\\$1/gr;
    }
    return \%shown;
}

sub ctime { return POSIX::strftime('%a %b %e %H:%M:%S %Y', localtime $_[0]); }

sub pbsnodes {
    my %common = (Mom => $host, Port => 15002, ntype => 'PBS', pcpus => 4, sharing => 'default_shared', jobs => ['1.pbs', '2.pbs']);
    my $available = { arch => 'linux', mem => '8388608kb', ncpus => 4, host => 'n1' };
    print_document(nodes => {
        n1 => { %common, state => 'free', resources_available => $available, resources_assigned => { mem => '2gb', ncpus => 1 } },
        n2 => { %common, state => 'offline,job-busy', queue => 'workq', resources_available => { %$available, host => 'n2' } },
    });
}

sub pbs_rstat {
    print "Resv ID: R5.$server\nReserve_Name = maintenance\nReserve_Owner = root\@$host\nreserve_state = RESV_CONFIRMED\n";
    print 'reserve_start = ', POSIX::strftime('%a %b %d %H:%M:%S %Y', localtime 1661335200), "\n";
    print 'reserve_end = ', POSIX::strftime('%a %b %d %H:%M:%S %Y', localtime 1661338800), "\n";
    print "reserve_duration = 3600\nqueue = R5\nresv_nodes = (n1:ncpus=1)+(n2:ncpus=1:mem=2gb)\nserver = $server\n\n";
}

# ---- JSON, as two generations print it ----

sub print_document {
    my %members = @_;
    my $is_new = (slurp("$state/style") // '') =~ /openpbs-23/;
    my @parts = (['timestamp', time], ['pbs_version', $is_new ? '23.06.06' : '20.0.1'], ['pbs_server', $server], map { [$_, $members{$_}] } keys %members);
    print "{\n", join(",\n", map { member($is_new, 1, @$_) } @parts), "\n}\n";
}

sub member {
    my ($is_new, $depth, $name, $value) = @_;
    my $indent = ($is_new ? "\t" : '    ') x $depth;
    my $head = $indent . ($is_new ? "\"$name\":\t" : "\"$name\":");
    if (ref $value eq 'HASH') {
        return "$head\{\n" . join(",\n", map { member($is_new, $depth + 1, $_, $value->{$_}) } sort keys %$value) . "\n$indent}";
    }
    if (ref $value eq 'ARRAY') {
        return $head . '[' . join(', ', map { "\"$_\"" } @$value) . ']' if $is_new;
        return "$head\[\n" . join(",\n", map { "$indent    \"$_\"" } @$value) . "\n$indent]";
    }
    # Whatever strtod() takes to its end is printed bare by the old one; the new one knows numbers of JSON.
    my $number = $is_new ? qr/^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?$/ : qr/^\s*[-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|inf(?:inity)?|nan|0x[0-9a-f]+)\s*$/i;
    return $head . $value if $value =~ $number;
    $value =~ s/(["\\])/\\$1/g if $is_new;
    $value =~ s/\n/\\n/g;
    $value =~ s/\t/\\t/g;
    return "$head\"$value\"";
}
