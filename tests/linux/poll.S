// poll and ppoll as Linux has them: standard output can be written, a closed descriptor is POLLNVAL, a bad pointer EFAULT,
// and time that is up gives 0. All registers but rax, rcx and r11 keep their values, and so does the red zone.
    .globl _start
    .set POLLIN, 1
    .set POLLOUT, 4
    .set POLLNVAL, 0x20
    .set EINVAL, 22
    .set EFAULT, 14

    .data
fds:
    .long 1                 // standard output
    .short POLLOUT, -1
    .long 999               // not open
    .short POLLIN, -1
    .long -1                // passed over
    .short POLLIN, -1
soon:
    .quad 0, 20000000       // 20 ms

    .text
_start:
    movq $0x5afe, -16(%rsp)
    mov $11, %rbx
    mov $12, %r8
    mov $13, %r9
    mov $14, %r10
    mov $15, %r12
    mov $7, %eax            // poll: three, for ever
    lea fds(%rip), %rdi
    mov $3, %esi
    mov $-1, %edx
    std
    syscall
    pushf
    cld
    pop %rcx
    test $0x400, %ecx       // the direction flag is the program's
    jz failed
    cmp $2, %rax
    jne failed
    cmpq $0x5afe, -16(%rsp) // below where `pushf` wrote
    jne failed
    cmp $11, %rbx
    jne failed
    cmp $12, %r8
    jne failed
    cmp $13, %r9
    jne failed
    cmp $14, %r10
    jne failed
    cmp $15, %r12
    jne failed
    lea fds(%rip), %rcx
    cmp %rcx, %rdi
    jne failed
    cmp $3, %rsi
    jne failed
    cmpw $POLLOUT, 6(%rcx)
    jne failed
    cmpw $POLLNVAL, 14(%rcx)
    jne failed
    cmpw $0, 22(%rcx)
    jne failed

    mov $7, %eax            // poll: not even the address is good
    mov $8, %edi
    mov $1, %esi
    xor %edx, %edx
    syscall
    cmp $-EFAULT, %rax
    jne failed

    mov $7, %eax            // poll: more than can be open
    lea fds(%rip), %rdi
    mov $1025, %esi
    xor %edx, %edx
    syscall
    cmp $-EINVAL, %rax
    jne failed

    mov $271, %eax          // ppoll: nothing, for 20 ms
    xor %edi, %edi
    xor %esi, %esi
    lea soon(%rip), %rdx
    xor %r10d, %r10d
    mov $8, %r8d
    syscall
    test %rax, %rax
    jne failed
    cmpq $0, soon+8(%rip)   // nothing is left of them
    jne failed

    xor %edi, %edi
    jmp leave
failed:
    mov $1, %edi
leave:
    mov $60, %eax           // exit
    syscall
    hlt                     // not reached

    .section .note.GNU-stack, "", @progbits
