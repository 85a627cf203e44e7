/**
 * `npm run demo`: the broker on real parts of this machine, one job through its REST API, then it stays up to be tried.
 * Whatever ends this process ends all that it started.
 */
import { chooseScheduler } from './demo/choose-scheduler.ts';
import { type Ending, prepareEnding } from './demo/ending.ts';
import { type DemoOptions, help, readOptions } from './demo/options.ts';
import { createScreen, formatTook, type Screen } from './demo/screen.ts';
import { demoUser, setStage } from './demo/stage.ts';
import { performStory } from './demo/story.ts';
import { showWayIn } from './demo/way-in.ts';

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (!options) {
    process.stdout.write(help);
    return;
  }
  const screen = createScreen(process.stdout, process.env);
  const ending = prepareEnding({ username: demoUser.username, screen });
  try {
    await run(options, screen, ending);
  } catch (error) {
    screen.text('');
    report(error);
    ending.end(1);
  }
}

async function run(options: DemoOptions, screen: Screen, ending: Ending): Promise<void> {
  const startedAt = performance.now();
  const { scheduler, reason } = await chooseScheduler(options.scheduler);
  screen.heading('Goldcrest and what it stands on, all on this machine');
  const stage = await setStage(scheduler, screen);
  if (reason !== null) screen.text(`Jobs run on this host itself, without a batch system: ${reason}.`);
  const story = await performStory(stage, screen);
  screen.heading(`Done: ${formatTook(performance.now() - startedAt)} from the first part to the last answer.`);
  if (options.isOnce) return ending.end(0);
  showWayIn(stage, story, screen);
  ending.expectSignal(stage.lab.folder);
}

function report(error: unknown): void {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
}

main().catch((error: unknown) => {
  report(error);
  process.exitCode = 1;
});
