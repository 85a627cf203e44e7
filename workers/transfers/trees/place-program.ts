/**
 * Perl: gives a tree (or file) that was unpacked beside its target the target's name, or, where the target is there
 * already, moves what is in it to its places: each file by one rename, so that none is ever half written. Arguments: the
 * directory it was unpacked in, target, `tree` or `file`, whether a target that is there is merged with (1), what counts
 * as the same, and whether an entry that cannot be placed is left out (1) or fails all (0).
 */
export const treePlaceProgram = String.raw`
my ($from, $target, $kind, $merges, $sync, $skips) = @ARGV;
my @directories;
sub set_facts { my ($path, $mode, $mtime) = @_;
  chmod $mode & 0777, $path;
  $has_hires ? Time::HiRes::utime($mtime, $mtime, $path) : utime(int $mtime, int $mtime, $path);
}
# Whether the walk goes on below it.
sub place_directory { my ($path, $facts) = @_;
  my @there = lstat "$target/$path";
  if (@there && !S_ISDIR($there[2])) { failed($path, 'is no directory where it should go'); return 0 }
  if (!@there && !mkdir "$target/$path", 0700) { failed($path, "$!"); return 0 }
  chmod 0700, "./$path";
  push @directories, ["$target/$path", @$facts[2, 4]];
  return 1;
}
sub place_file { my ($source, $path, $place, $type, $facts) = @_;
  my @there = facts_of($place);
  if (@there && S_ISDIR($there[2])) { return failed($path, 'is a directory where it should go') }
  my $is_same = @there && $sync ne '' && type_of($there[2]) eq $type &&
    ($type eq 'l' ? readlink($source) eq readlink($place)
                  : is_same($sync, @$facts[3, 4], @there[3, 4], sub { (digest_of($source), digest_of($place)) }));
  my $bytes = $type eq 'f' ? $facts->[3] : 0;
  counted($type, $bytes);
  return moved('skipped', $path, $bytes) if $is_same;
  return failed($path, "$!") if !rename $source, $place;
  moved('copied', $path, $bytes);
}
sub merge { my ($directory) = @_;
  opendir(my $handle, $directory eq '' ? '.' : "./$directory") or return failed($directory, "$!");
  my @names = sort grep { $_ ne '.' && $_ ne '..' } readdir $handle;
  closedir $handle;
  for my $name (@names) {
    my $path = $directory eq '' ? $name : "$directory/$name";
    my @facts = facts_of("./$path");
    my $type = type_of($facts[2]);
    if ($type ne 'd') { place_file("./$path", $path, "$target/$path", $type, \@facts); next }
    counted('d', 0);
    merge($path) if place_directory($path, \@facts);
  }
}
my @there = lstat $target;
if ($kind eq 'file') {
  leave(73, shown($target) . ': Is a directory') if @there && S_ISDIR($there[2]);
  leave(73, shown($target) . ': File exists') if @there && !$merges;
  place_file("$from/data", 'data', $target, 'f', [facts_of("$from/data")]);
  leave(73, shown($target) . ': it could not be put in place') if $count{failures} > 0;
} elsif (!@there) {
  rename $from, $target or leave(73, shown($target) . ": $!");
} else {
  leave(73, shown($target) . ': File exists') if !$merges;
  leave(73, shown($target) . ': Not a directory') if !S_ISDIR($there[2]);
  chmod 0700, $from;
  enter($from);
  merge('');
  set_facts(@$_) for reverse @directories;
}
report();
exit($count{failures} > 0 && !$skips ? 77 : 0);
`;
