/** Agents do not know their own names, nor whose a stack is, and write `STACK` and `AGENT` in the commands that they tell: ready to be pasted. */
export function filled(reason: string, stack: string, agent: string): string {
  const names = new Map([['STACK', stack], ['AGENT', agent]]);
  let inCommand = false;
  const words = reason.split(' ').map((word) => {
    inCommand ||= word.replace(/^[`(]+/, '') === 'brokkr';
    const [, bare = word, rest = ''] = /^(.*?)([`;,):.]*)$/s.exec(word) ?? [];
    const name = inCommand ? names.get(bare) : undefined;
    inCommand &&= rest === '';
    return name === undefined ? word : name + rest;
  });
  return words.join(' ');
}
