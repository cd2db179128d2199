package skad
import ("testing";"time";"os")
func TestZZ(t *testing.T){
 worst:=time.Duration(0)
 for seed:=uint64(0);seed<4000;seed++{
  rnd:=newRand(seed)
  b:=make([]byte,rnd.IntN(1500))
  for i:=range b{b[i]=byte(rnd.Uint32())}
  c:=newCore(t,1,func(cfg *Config){cfg.K,cfg.Siblings,cfg.Eta=4,4,2})
  done:=make(chan int)
  go func(){select{case <-done: case <-time.After(4*time.Second): println("HANG",seed); panic("hang"); os.Exit(1)}}()
  t0:=time.Now()
  playTape(t,c,population(c.self.ID),tape(b),func(){verify(t,c)})
  close(done)
  if d:=time.Since(t0);d>worst{worst=d;println(seed,len(b),d.String())}
 }
}
