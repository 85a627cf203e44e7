/** The program of the file loop: what runs on the login node, and the line by which it is started. It needs perl there. */
import { commandLine } from '../../shared/commands/command-line.ts';

/** How the program ends where a file has become shorter while it was sent. */
export const shortenedExitCode = 3;

/**
 * Reads frames {length, question, most, space, path}. `F`, at most so many bytes of a file: answers `F <size> <mtime>` and a line break,
 * and then the bytes. `L`, a directory: answers `L` and a line break, and a record for each name (directory-records.ts), at most one
 * more than was asked for, and one of zeros. `-` and a line break for what is not its affair: no regular file, empty, too large, no
 * directory, or not to be opened. What is no regular file is not opened, and if it became one meanwhile it is not waited for.
 */
const script = `require Fcntl;
my $in = '';
binmode STDIN; binmode STDOUT;
sub put { my $at = 0; while ($at < length $_[0]) { my $n = syswrite STDOUT, $_[0], length($_[0]) - $at, $at; exit 1 unless $n; $at += $n } }
sub reading {
  my ($path, $file) = @_;
  return unless stat $path and -f _;
  sysopen $file, $path, Fcntl::O_RDONLY() | Fcntl::O_NONBLOCK() | Fcntl::O_NOCTTY() or return;
  return stat $file && -f _ ? $file : undef;
}
sub listing {
  my ($most, $path) = @_;
  opendir my $dir, $path or return put("-\\n");
  my ($data, $count) = ("L\\n", 0);
  while ($count <= $most) {
    $! = 0;
    my $name = readdir $dir;
    exit 4 if $! && !defined $name;
    last unless defined $name;
    next if $name eq '.' || $name eq '..';
    my @s = lstat "$path/$name" or next;
    $data .= pack 'NNNNNNNn/a*', @s[2, 4, 5], int($s[7] / 4294967296), $s[7] % 4294967296, @s[8, 9], $name;
    $count += 1;
    next if length $data < 65536;
    put($data);
    $data = '';
  }
  put($data . pack 'x30');
}
sub file {
  my ($most, $path) = @_;
  my $file = reading($path);
  my ($size, $time) = $file ? (stat $file)[7, 9] : (0, 0);
  return put("-\\n") if $size < 1 || $size > $most;
  my ($data, $left) = ("F $size $time\\n", $size);
  while ($left > 0) {
    my $n = sysread $file, $data, ($left < 262144 ? $left : 262144), length $data;
    exit 4 unless defined $n;
    exit ${shortenedExitCode} unless $n;
    put($data);
    $data = '';
    $left -= $n;
  }
}
while (sysread STDIN, $in, 65536, length $in) {
  while (length $in >= 4) {
    my $length = unpack 'N', $in;
    last if length $in < 4 + $length;
    my $asked = substr $in, 4, $length;
    substr($in, 0, 4 + $length) = '';
    my ($question, $most, $path) = $asked =~ /^(.)([0-9]+) (.*)/s or exit 1;
    $question eq 'L' ? listing($most, $path) : file($most, $path);
  }
}`;

/** What the login shell is asked to run. */
export const fileLoopArgv = ['perl', '-e', script];

export const fileLoopLine = commandLine(fileLoopArgv, { env: { PERL5OPT: '', PERL_UNICODE: '0' } });
