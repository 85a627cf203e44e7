/**
 * What the Perl programs over trees share: the walk, the filters, and the report. Perl 5.10 and its core modules; names
 * are bytes from end to end. A report is written to the file `facts` of the work's directory, lines `name value`; paths
 * in it are hexadecimal, since a name may hold anything.
 *
 * Exit codes are those of the movers (mover-programs.ts).
 */

/** Entries of one tree. */
export const treeEntriesMax = 1_000_000;
/** Failures, and names of what was copied and skipped, that are told one by one; the rest is counted. */
export const treeNamesMax = 100;

/** Begins each of the programs. */
export const treeWalkProgram = String.raw`
use strict; use warnings; no warnings qw(utf8 recursion);
use Fcntl qw(:DEFAULT :mode);
use Cwd ();
# The report stays in the directory of the work, wherever the walk is.
my $work = Cwd::getcwd();
my $has_hires = eval { require Time::HiRes; 1 };
my ($entries_max, $names_max) = (${treeEntriesMax}, ${treeNamesMax});
my (%count, %named, $ticked);
$count{$_} = 0 for qw(entries files directories links bytes copied copied-bytes skipped skipped-bytes failures);
sub leave { my ($code, $why) = @_; print STDERR "$why\n"; exit $code }
sub shown { my ($path) = @_; $path =~ s/([^\x20-\x7e])/sprintf '\\x%02x', ord $1/ge; return $path }
sub named { my ($kind, $path, $why) = @_;
  return if ++$named{$kind} > $names_max;
  open(my $out, '>>', "$work/names") or return;
  print $out join(' ', $kind, unpack('H*', $path), defined $why ? $why : ()), "\n";
  close $out;
}
sub failed { my ($path, $why) = @_; $count{failures}++; named('failure', $path eq '' ? '.' : $path, $why); return }
sub moved { my ($kind, $path, $bytes) = @_; $count{$kind}++; $count{"$kind-bytes"} += $bytes; named($kind, $path); return }
sub tick { my ($isLast) = @_;
  my $now = time;
  return if !$isLast && defined $ticked && $ticked == $now;
  $ticked = $now;
  open(my $out, '>', "$work/entries.new") or return;
  print $out "$count{entries} $count{bytes}\n";
  close $out;
  rename "$work/entries.new", "$work/entries";
}
sub report {
  tick(1);
  open(my $out, '>', "$work/facts") or leave(73, "facts: $!");
  print $out "$_ $count{$_}\n" for sort keys %count;
  close $out or leave(73, "facts: $!");
}
sub counted { my ($type, $bytes) = @_;
  leave(76, "the tree has more than $entries_max entries") if ++$count{entries} > $entries_max;
  $count{$type eq 'd' ? 'directories' : $type eq 'l' ? 'links' : 'files'}++;
  $count{bytes} += $bytes;
  tick(0);
}
# device, inode, mode, size, mtime
sub facts_of { my ($path) = @_;
  my @all = $has_hires ? Time::HiRes::lstat($path) : lstat($path);
  return @all ? @all[0, 1, 2, 7, 9] : ();
}
sub facts_of_handle { my ($handle) = @_;
  my @all = $has_hires ? Time::HiRes::stat($handle) : stat($handle);
  return @all ? @all[0, 1, 2, 7, 9] : ();
}
sub type_of { my ($mode) = @_; return S_ISDIR($mode) ? 'd' : S_ISREG($mode) ? 'f' : S_ISLNK($mode) ? 'l' : '' }
my (@include, @exclude);
# '*' and '?' stay within a name, '**' does not; without a slash in it a pattern is one of names, at any depth.
sub pattern_of { my ($glob) = @_;
  $glob =~ s{/\z}{};
  my $is_anchored = $glob =~ s{^/}{} || $glob =~ m{/};
  my $regex = $is_anchored ? '' : '(?:.*/)?';
  while ($glob =~ m{\G(?:(\*\*/)|(\*\*)|(\*)|(\?)|(.))}gs) {
    $regex .= defined $1 ? '(?:.*/)?' : defined $2 ? '.*' : defined $3 ? '[^/]*' : defined $4 ? '[^/]' : quotemeta $5;
  }
  return qr/\A$regex\z/s;
}
sub read_filters {
  while (my $option = shift @_) {
    my $pattern = pattern_of(shift @_);
    if ($option eq 'include') { push @include, $pattern } else { push @exclude, $pattern }
  }
}
sub is_excluded { my ($path) = @_; for (@exclude) { return 1 if $path =~ $_ } return 0 }
sub is_included { my ($path) = @_;
  return 1 if !@include;
  for (my $part = $path; ; $part =~ s{/[^/]*\z}{}) {
    for (@include) { return 1 if $part =~ $_ }
    return 0 if $part !~ m{/};
  }
}
# Of a name in an archive: whether the filters take it, whatever they say of the directories above it.
sub is_wanted { my ($path) = @_;
  for (my $part = $path; ; $part =~ s{/[^/]*\z}{}) {
    return 0 if is_excluded($part);
    last if $part !~ m{/};
  }
  return is_included($path);
}
# Calls back with path, type, facts for what lies below the current directory and passes the filters, parents first.
sub walk { my ($visit, $directory) = @_;
  opendir(my $handle, $directory eq '' ? '.' : "./$directory") or return failed($directory, "$!");
  my @names = sort grep { $_ ne '.' && $_ ne '..' } readdir $handle;
  closedir $handle;
  for my $name (@names) {
    my $path = $directory eq '' ? $name : "$directory/$name";
    next if is_excluded($path);
    my @facts = facts_of("./$path");
    if (!@facts) { failed($path, "$!"); next }
    my $type = type_of($facts[2]);
    if ($type eq '') { failed($path, 'is neither a file, a directory nor a link') if is_included($path); next }
    $visit->($path, $type, @facts) if is_included($path);
    walk($visit, $path) if $type eq 'd';
  }
}
sub open_file { my ($path) = @_;
  sysopen(my $handle, $path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY) or return;
  binmode $handle;
  return $handle;
}
sub digest_of { my ($path) = @_;
  eval { require Digest::SHA; 1 } or leave(73, 'the Perl module Digest::SHA was not found, which the mode checksum needs');
  my $handle = open_file($path) or return;
  my $digest = eval { Digest::SHA->new(256)->addfile($handle)->hexdigest };
  return $digest;
}
# Whether what is there is as good as what would come: facts of the one, and how to digest the other.
sub is_same { my ($sync, $size, $mtime, $their_size, $their_mtime, $digests) = @_;
  return 0 if $sync eq '' || $size != $their_size;
  return 1 if $sync eq 'size';
  return int($mtime) == int($their_mtime) if $sync eq 'mtime';
  my ($mine, $theirs) = $digests->();
  return defined $mine && defined $theirs && $mine eq $theirs;
}
sub enter { my ($root) = @_;
  chdir $root or leave(73, shown($root) . ": $!");
}
`;
