/**
 * Perl: unpacks a tar archive from its standard input into a new directory, and is safe with any input: nothing is
 * written outside of that directory, nothing through a link, no device or pipe is made, and what is read ahead of an
 * entry is bounded. It reads ustar, pax and GNU headers. Arguments: the directory, `tree` or `file`, whether an entry
 * that cannot be unpacked is left out (1) or fails all (0), then the filters.
 */
export const treeUnpackProgram = String.raw`
my ($into, $kind, $skips, @filters) = @ARGV;
binmode STDIN;
read_filters(@filters);
my ($ahead_max, $name_max) = (1048576, 4095);
my (%made, @directories);
my $default_mode = 0777 & ~umask;
sub damaged { leave(76, "the archive is damaged: $_[0]") }
sub take { my ($bytes) = @_;
  my $data = '';
  while (length $data < $bytes) {
    my $got = read STDIN, $data, $bytes - length $data, length $data;
    leave(72, "the archive could not be read: $!") if !defined $got;
    damaged('it ends too early') if $got == 0;
  }
  return $data;
}
sub take_padded { my ($bytes) = @_; my $data = take($bytes); take(-$bytes % 512); return $data }
sub pass { my ($bytes) = @_;
  my $left = $bytes + (-$bytes % 512);
  while ($left > 0) { my $part = $left < 1048576 ? $left : 1048576; take($part); $left -= $part }
}
sub text_of { my ($field) = @_; $field =~ s/\0.*\z//s; return $field }
sub number_of { my ($field) = @_;
  if (ord($field) & 0x80) {
    my ($value, @bytes) = (0, unpack 'C*', $field);
    damaged('a number is negative') if $bytes[0] != 0x80;
    shift @bytes;
    for (@bytes) { damaged('a number is too large') if $value > 2 ** 44; $value = $value * 256 + $_ }
    return $value;
  }
  $field =~ s/\A +//;
  $field =~ s/[\0 ].*\z//s;
  damaged('a number is none') if $field !~ /\A[0-7]*\z/;
  return $field eq '' ? 0 : oct $field;
}
sub pax_of { my ($data) = @_;
  my %pax;
  while ($data =~ /\G(\d{1,7}) /gc) {
    my $length = $1 - length($1) - 1;
    damaged('a pax record') if $length < 2 || pos($data) + $length > length $data;
    my $record = substr $data, pos($data), $length;
    pos($data) = pos($data) + $length;
    $record =~ /\A([^=]+)=(.*)\n\z/s or damaged('a pax record');
    $pax{$1} = $2;
  }
  return %pax;
}
# The name as components below the directory, or what is wrong with it.
sub clean_name { my ($name) = @_;
  return (undef, 'is empty or too long') if $name eq '' || length $name > $name_max;
  return (undef, 'holds a NUL') if $name =~ /\0/;
  return (undef, 'is absolute') if $name =~ m{\A/};
  my @parts = grep { $_ ne '' && $_ ne '.' } split m{/}, $name;
  return (undef, 'holds ..') if grep { $_ eq '..' } @parts;
  return (join('/', @parts), undef);
}
# Every directory above the path is one that was made here: none of them can be a link.
sub make_parents { my ($path) = @_;
  my @parts = split m{/}, $path;
  pop @parts;
  my $parent = '';
  for my $part (@parts) {
    $parent = $parent eq '' ? $part : "$parent/$part";
    next if $made{$parent};
    make_directory($parent, $default_mode, undef) or return 0;
  }
  return 1;
}
sub make_directory { my ($path, $mode, $mtime) = @_;
  if (!$made{$path}) {
    if (!mkdir "./$path", 0700) { return failed($path, "$!") if !is_own_fault($!); leave(73, shown($path) . ": $!") }
    $made{$path} = 1;
  }
  push @directories, [$path, $mode, $mtime];
  return 1;
}
# What is wrong with the host, and not with the entry.
sub is_own_fault { return $!{ENOSPC} || $!{EDQUOT} || $!{EIO} || $!{EROFS} || $!{EMFILE} }
sub clear_name { my ($path) = @_;
  return 1 if !lstat "./$path";
  if (-d _) { failed($path, 'is a directory already'); return 0 }
  return 1 if unlink "./$path";
  failed($path, "$!");
  return 0;
}
sub unpack_file { my ($path, $mode, $mtime, $size) = @_;
  my $out;
  my $is_open = make_parents($path) && clear_name($path) && (sysopen($out, "./$path", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600) || do {
    leave(73, shown($path) . ": $!") if is_own_fault();
    failed($path, "$!");
    0;
  });
  return pass($size) if !$is_open;
  binmode $out;
  counted('f', 0);
  my $left = $size;
  while ($left > 0) {
    my $data = take($left < 1048576 ? $left : 1048576);
    print $out $data or leave(73, shown($path) . ": $!");
    $left -= length $data;
    $count{bytes} += length $data;
    tick(0);
  }
  take(-$size % 512);
  chmod $mode, $out;
  close $out or leave(73, shown($path) . ": $!");
  set_time("./$path", $mtime);
  $count{copied}++;
  $count{'copied-bytes'} += $size;
}
sub set_time { my ($path, $mtime) = @_;
  return if !defined $mtime;
  $has_hires ? Time::HiRes::utime($mtime, $mtime, $path) : utime(int $mtime, int $mtime, $path);
}
sub unpack_link { my ($path, $target) = @_;
  return if !make_parents($path) || !clear_name($path);
  return failed($path, "$!") if !symlink $target, "./$path";
  counted('l', 0);
  $count{copied}++;
}
# To a file that was unpacked before, under its own name, with no link on the way.
sub unpack_hard_link { my ($path, $target) = @_;
  my ($from, $fault) = clean_name($target);
  return failed($path, "is a hard link whose target $fault") if $fault;
  my $parent = $from =~ m{\A(.*)/}s ? $1 : '';
  return failed($path, 'is a hard link to what is not in the archive before it')
    if ($parent ne '' && !$made{$parent}) || !lstat "./$from" || !-f _;
  return if !make_parents($path) || $from eq $path || !clear_name($path);
  return failed($path, "$!") if !link "./$from", "./$path";
  counted('f', 0);
  $count{copied}++;
}
sub unpack_entry { my ($name, $type, $mode, $mtime, $size, $link) = @_;
  my ($path, $fault) = clean_name($name);
  my $is_file = $type eq '0' || $type eq "\0" || $type eq '7';
  # Of these types the size, where there is one, is no length of content.
  $size = 0 if $type =~ /\A[1-6]\z/;
  if (defined $fault) { failed($name, "the name $fault"); return pass($size) }
  damaged('it is not that of one file') if $kind eq 'file' && ($path ne 'data' || !$is_file);
  return unpack_root($mode, $mtime) if $path eq '' && $type eq '5';
  return pass($size) if $path ne '' && !is_wanted($path);
  if ($path eq '') { failed($name, 'the name is empty'); return pass($size) }
  return unpack_file($path, $mode, $mtime, $size) if $is_file && $name !~ m{/\z};
  # Old archives have no type of their own for directories.
  if ($type eq '5' || $is_file) {
    pass($size) if $is_file;
    counted('d', 0) if make_parents($path) && make_directory($path, $mode, $mtime);
    return;
  }
  return failed($path, 'is an empty link') if ($type eq '1' || $type eq '2') && $link eq '';
  return unpack_link($path, $link) if $type eq '2';
  return unpack_hard_link($path, $link) if $type eq '1';
  pass($size);
  failed($path, $type =~ /\A[346]\z/ ? 'is a device or a pipe, which are not unpacked' : 'is of a type that is not unpacked');
}
sub unpack_root { my ($mode, $mtime) = @_; push @directories, ['.', $mode, $mtime] }
sub verify { my ($head) = @_;
  my $sum = number_of(substr $head, 148, 8);
  substr($head, 148, 8) = ' ' x 8;
  damaged('a header does not add up') if $sum != unpack '%32C*', $head;
}
sub unpack_all {
  my (%pax, %gnu);
  for (;;) {
    my $head = take(512);
    last if $head eq "\0" x 512;
    verify($head);
    my ($name, $mode, $size, $mtime, $type, $link) =
      (text_of(substr $head, 0, 100), number_of(substr $head, 100, 8), number_of(substr $head, 124, 12),
       number_of(substr $head, 136, 12), substr($head, 156, 1), text_of(substr $head, 157, 100));
    if ($type =~ /\A[xgLK]\z/) {
      damaged('a header is too long') if $size > $ahead_max;
      my $data = take_padded($size);
      if ($type eq 'x') { %pax = pax_of($data) } elsif ($type ne 'g') { $gnu{$type} = text_of($data) }
      next;
    }
    my $prefix = substr($head, 257, 6) eq "ustar\0" ? text_of(substr $head, 345, 155) : '';
    $name = "$prefix/$name" if $prefix ne '';
    $name = defined $pax{path} ? $pax{path} : defined $gnu{L} ? $gnu{L} : $name;
    $link = defined $pax{linkpath} ? $pax{linkpath} : defined $gnu{K} ? $gnu{K} : $link;
    if (defined $pax{size}) { $pax{size} =~ /\A\d{1,15}\z/ or damaged('a size'); $size = $pax{size} }
    if (defined $pax{mtime}) { $pax{mtime} =~ /\A-?\d{1,12}(?:\.\d{1,20})?\z/ or damaged('a time'); $mtime = $pax{mtime} }
    $type = 'sparse' if grep { /\AGNU\.sparse/ } keys %pax;
    unpack_entry($name, $type, $mode & 0777, $mtime, $size, $link);
    (%pax, %gnu) = ();
    %gnu = ();
  }
  1 while read STDIN, my $rest, 1048576;
}
mkdir $into, 0700 or leave(73, shown($into) . ": $!");
enter($into);
unpack_all();
# A directory that may not be written to is one only when all is in it.
my @last = reverse @directories;
for my $directory (@last) {
  my ($path, $mode, $mtime) = @$directory;
  chmod $mode, "./$path";
  set_time("./$path", $mtime);
}
leave(76, 'the archive holds no file') if $kind eq 'file' && $count{files} != 1 && $count{failures} == 0;
report();
exit($count{failures} > 0 && !$skips ? 77 : 0);
`;
