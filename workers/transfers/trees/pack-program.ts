/**
 * Perl: looks at a tree, lists it, or packs it as a tar archive (POSIX.1-2001, pax headers where ustar's do not suffice)
 * on its standard output. Arguments: `measure`, `list` or `pack`, the tree or file, what counts as the same (`size`,
 * `mtime`, `checksum` or nothing), whether an entry that cannot be read is left out (1) or fails all (0), then the
 * filters, each as `include` or `exclude` and its pattern.
 *
 * A list has a line for each entry: type, bytes, seconds of the last change, SHA-256 or `-`, name and target of a link in
 * hexadecimal. `pack` compares with such a list in the file `list`, where there is one, and packs what differs. A single
 * file is an entry `data`.
 */
/** Of one entry: header, and a pax header of up to three blocks. */
export const entryBytesMax = 2_048;

export const treePackProgram = String.raw`
my ($wish, $root, $sync, $skips, @filters) = @ARGV;
binmode STDOUT;
read_filters(@filters);
my $ustar_max = 8 ** 11 - 1;
my %theirs;
sub read_list {
  open(my $in, '<', "$work/list") or return;
  while (my $line = <$in>) {
    chomp $line;
    my ($type, $size, $mtime, $digest, $name, $link) = split / /, $line;
    $theirs{pack 'H*', $name} = [$type, $size, $mtime, $digest, defined $link ? pack('H*', $link) : ''];
  }
  close $in;
}
sub put { my ($data) = @_; print STDOUT $data or leave(72, "the archive could not be written: $!") }
sub octal { my ($value, $digits) = @_; return sprintf "%0*o\0", $digits, $value }
sub pax_record { my ($key, $value) = @_;
  my $body = " $key=$value\n";
  my $length = length $body;
  $length = length($body) + length("$length") for 1 .. 3;
  return "$length$body";
}
sub put_header { my ($name, $mode, $size, $mtime, $kind, $link) = @_;
  my $head = pack 'a100 a8 a8 a8 a12 a12 a8 a1 a100 a6 a2 a32 a32 a8 a8 a155 a12',
    $name, octal($mode & 0777, 7), octal(0, 7), octal(0, 7), octal($size > $ustar_max ? 0 : $size, 11),
    octal($mtime < 0 ? 0 : int $mtime, 11), ' ' x 8, $kind, $link, "ustar\0", '00', '', '', octal(0, 7), octal(0, 7), '', '';
  substr($head, 148, 8) = sprintf "%06o\0 ", unpack '%32C*', $head;
  put($head);
}
sub put_entry { my ($name, $mode, $size, $mtime, $kind, $link) = @_;
  my $records = '';
  $records .= pax_record('path', $name) if length $name > 100;
  $records .= pax_record('linkpath', $link) if length $link > 100;
  $records .= pax_record('size', $size) if $size > $ustar_max;
  $records .= pax_record('mtime', sprintf '%.6f', $mtime) if $mtime < 0 || $mtime != int $mtime;
  if ($records ne '') {
    put_header('pax', 0600, length $records, 0, 'x', '');
    put($records . "\0" x (-length($records) % 512));
  }
  put_header($name, $mode, $size, $mtime, $kind, $link);
}
sub put_content { my ($handle, $path, $size) = @_;
  my $left = $size;
  while ($left > 0) {
    my $got = sysread $handle, my $data, $left < 1048576 ? $left : 1048576;
    leave(73, shown($path) . ": $!") if !defined $got;
    leave(75, 'the file ' . shown($path) . ' changed while it was read') if $got == 0;
    put($data);
    $left -= $got;
    $count{bytes} += $got;
    tick(0);
  }
  put("\0" x (-$size % 512));
}
sub pack_file { my ($path, $name, $seen, $is_known) = @_;
  my $handle = open_file($path) or return failed($name, "$!");
  my @facts = facts_of_handle($handle);
  leave(75, 'the file ' . shown($name) . ' changed while it was read') if "@facts[0, 1]" ne "@$seen[0, 1]";
  my $same = $theirs{$name};
  if ($same && $same->[0] eq 'f' && is_same($sync, @facts[3, 4], @$same[1, 2], sub { (digest_of($path), $same->[3]) })) {
    counted('f', $facts[3]);
    moved('skipped', $name, $facts[3]);
    return;
  }
  put_entry($name, @facts[2, 3, 4], '0', '');
  counted('f', 0);
  put_content($handle, $name, $facts[3]);
  my @after = facts_of_handle($handle);
  leave(75, 'the file ' . shown($name) . ' changed while it was read') if "@facts[3, 4]" ne "@after[3, 4]";
  moved('copied', $name, $facts[3]);
}
sub pack_visit { my ($path, $type, @facts) = @_;
  return pack_file("./$path", $path, \@facts) if $type eq 'f';
  counted($type, 0);
  return put_entry("$path/", $facts[2], 0, $facts[4], '5', '') if $type eq 'd';
  my $link = readlink "./$path";
  return failed($path, "$!") if !defined $link;
  my $same = $theirs{$path};
  return moved('skipped', $path, 0) if $sync ne '' && $same && $same->[0] eq 'l' && $same->[4] eq $link;
  put_entry($path, $facts[2], 0, $facts[4], '2', $link);
  moved('copied', $path, 0);
}
sub list_entry { my ($path, $name, $type, @facts) = @_;
  counted($type, $type eq 'f' ? $facts[3] : 0);
  my $digest = $sync eq 'checksum' && $type eq 'f' ? digest_of($path) : undef;
  my $link = $type eq 'l' ? readlink $path : '';
  put(join(' ', $type, $facts[3], int $facts[4], defined $digest ? $digest : '-', unpack('H*', $name), unpack('H*', $link)) . "\n");
}
my @root = $wish eq 'pack' || $wish eq 'measure' ? stat $root : lstat $root;
leave(73, shown($root) . ": $!") if !@root;
my $is_tree = S_ISDIR($root[2]);
leave(73, shown($root) . ' is neither a directory nor a regular file') if !$is_tree && !S_ISREG($root[2]);
enter($root) if $is_tree;
$count{'is-file'} = $is_tree ? 0 : 1;
if ($wish eq 'measure') {
  $is_tree ? walk(sub { my ($path, $type, @facts) = @_; counted($type, $type eq 'f' ? $facts[3] : 0) }, '') : counted('f', $root[7]);
  # What cannot be listed now is met, and told, when the tree is packed.
  $count{failures} = 0;
  unlink "$work/names";
} elsif ($wish eq 'list') {
  $is_tree ? walk(sub { my $path = shift; list_entry("./$path", $path, @_) }, '') : list_entry($root, 'data', 'f', facts_of($root));
} else {
  read_list();
  if ($is_tree) {
    put_entry('./', $root[2], 0, (facts_of('.'))[4], '5', '');
    walk(\&pack_visit, '');
  } else {
    my @facts = $has_hires ? Time::HiRes::stat($root) : stat $root;
    require Cwd;
    pack_file(Cwd::realpath($root), 'data', [@facts[0, 1]]);
  }
  put("\0" x 1024);
}
close STDOUT or leave(72, "the archive could not be written: $!");
report();
exit($count{failures} > 0 && !$skips ? 77 : 0);
`;
